// Isolates a trial in charts: what a click on a line does, for the keyboard.
"use strict";
(() => {
  const isolate = (choice) => {
    for (const document of window.Bokeh.documents) {
      const source = document.get_model_by_name(choice.dataset.isolates);
      if (source) source.selected.indices = source.data.trial.flatMap((trial, index) => (trial === choice.value ? [index] : []));
    }
  };
  for (const choice of document.querySelectorAll("select[data-isolates]")) {
    choice.addEventListener("change", () => isolate(choice));
  }
})();

// The maps of a report: which scene, which run, how much of it. Bokeh draws; this fills its sources.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const control = (name) => document.getElementById("map-" + name);
  const pictures = new Map();
  let models = null;
  let scene = null;

  const model = (name) => models.get_model_by_name(name);

  // A picture, decoded once.
  const decoded = (uri) => {
    if (!pictures.has(uri)) {
      const picture = new Image();
      picture.src = uri;
      pictures.set(uri, picture.decode().then(() => picture));
    }
    return pictures.get(uri);
  };

  // Keep the part right of a share of the width, and of areas their outlines alone.
  const cut = async (uri, share, outlines) => {
    if (!share && !outlines) return uri;
    const picture = await decoded(uri);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const { width, height } = canvas;
    if (outlines) {
      const pixels = context.getImageData(0, 0, width, height);
      const colours = new Uint32Array(pixels.data.buffer.slice(0));
      for (let row = 0; row < height - 1; row++) {
        for (let column = 0; column < width - 1; column++) {
          const place = row * width + column;
          if (colours[place] === colours[place + 1] && colours[place] === colours[place + width]) {
            pixels.data[4 * place + 3] = 0;
          }
        }
      }
      context.putImageData(pixels, 0, 0);
    }
    context.clearRect(0, 0, share * width, height);
    return canvas.toDataURL();
  };

  const placed = (uri, alpha) => {
    if (!uri) return { url: [], x: [], y: [], w: [], h: [], alpha: [] };
    return { url: [uri], x: [0], y: [scene.height], w: [scene.width], h: [scene.height], alpha: [alpha] };
  };

  const asQuads = (boxes, colourOf) => ({
    left: boxes.map((box) => box[0]),
    right: boxes.map((box) => box[2]),
    top: boxes.map((box) => scene.height - box[1]),
    bottom: boxes.map((box) => scene.height - box[3]),
    colour: boxes.map(colourOf),
  });

  const fit = () => {
    const frame = model("pane-imagery");
    const across = frame.inner_width || 400;
    const down = frame.inner_height || 400;
    const scale = Math.max(scene.width / across, scene.height / down);
    const [width, height] = [scale * across, scale * down];
    const range = (name, middle, size) =>
      model(name).setv({ start: middle - size / 2, end: middle + size / 2, reset_start: middle - size / 2, reset_end: middle + size / 2 });
    range("across", scene.width / 2, width);
    range("down", scene.height / 2, height);
  };

  const draw = async () => {
    const found = (data.maps[scene.id] || {})[control("run").value] || {};
    const alpha = Number(control("opacity").value);
    const outlines = control("outlines").checked;
    const swipe = Number(control("swipe").value);
    const overlays = { labels: [scene.labels, 0], prediction: [found.prediction, swipe], errors: [found.errors, 0] };
    for (const [name, [uri, share]] of Object.entries(overlays)) {
      model(name).data = placed(uri && (await cut(uri, share, outlines)), alpha);
    }
    const least = Number(control("score").value);
    const above = (found.found || []).filter((box) => box[5] >= least);
    const unseen = (found.found || []).filter((box) => box[5] < least && box[6] === "found");
    model("labels-boxes").data = asQuads(scene.boxes, (box) => data.colours[box[4]]);
    model("prediction-boxes").data = asQuads(above, (box) => data.colours[box[4]]);
    const told = [...above, ...(found.missed || []), ...unseen.map((box) => [...box.slice(0, 6), "missed"])];
    model("errors-boxes").data = asQuads(told, (box) => data.kinds[box[6]]);
    const count = (kind) => told.filter((box) => box[6] === kind).length;
    control("told").textContent = (found.found || []).length + (found.missed || []).length
      ? `${count("found")} found, ${count("false")} false, ${count("missed")} missed with a score of ${least.toFixed(2)} or more`
      : "";
    control("score-shown").textContent = least.toFixed(2);
  };

  const runsOf = (name) => Object.keys(data.maps[name] || {});

  const select = (name) => {
    scene = data.scenes.find((one) => one.id === name) || data.scenes[0];
    control("scene").value = scene.id;
    const chosen = control("run").value;
    control("run").replaceChildren(...runsOf(scene.id).map((run) => new Option(run, run)));
    if (runsOf(scene.id).includes(chosen)) control("run").value = chosen;
    model("image").data = placed(scene.image, 1);
    fit();
    return draw();
  };

  window.swathFit = fit;
  window.swathPointer = (x, y) => {
    if (!scene) return;
    const [column, row] = [x, scene.height - y];
    const [a, b, c, d, e, f] = scene.transform;
    const inside = column >= 0 && row >= 0 && column < scene.width && row < scene.height;
    control("pointer").textContent = inside
      ? `column ${Math.floor(column)}, row ${Math.floor(row)}; x ${(a * column + b * row + c).toFixed(2)}, y ${(d * column + e * row + f).toFixed(2)}`
      : "";
  };

  const move = (event) => {
    const [across, down] = [model("across"), model("down")];
    const width = across.end - across.start;
    const height = down.end - down.start;
    const shift = (range, by) => range.setv({ start: range.start + by, end: range.end + by });
    const zoom = (by) => {
      across.setv({ start: across.start + (by * width) / 2, end: across.end - (by * width) / 2 });
      down.setv({ start: down.start + (by * height) / 2, end: down.end - (by * height) / 2 });
    };
    const keys = {
      ArrowLeft: () => shift(across, -0.1 * width),
      ArrowRight: () => shift(across, 0.1 * width),
      ArrowUp: () => shift(down, 0.1 * height),
      ArrowDown: () => shift(down, -0.1 * height),
      "+": () => zoom(0.2),
      "-": () => zoom(-0.25),
      0: fit,
    };
    if (keys[event.key]) {
      keys[event.key]();
      event.preventDefault();
    }
  };

  const byAddress = () => {
    let name = location.hash.replace(/^#scene=/, "");
    try {
      name = decodeURIComponent(name);
    } catch {
      return null; // no address of ours
    }
    return data.scenes.some((one) => one.id === name) ? name : null;
  };

  const begin = () => {
    const documents = window.Bokeh ? window.Bokeh.documents : [];
    models = documents.find((one) => one.get_model_by_name("pane-imagery")) || null;
    if (!models) return setTimeout(begin, 50);
    control("scene").replaceChildren(
      ...data.scenes.map((one) => new Option(`${one.id} (${one.split}${one.score === null ? "" : ", " + one.score.toFixed(3)})`, one.id)),
    );
    control("scene").addEventListener("change", () => { location.hash = "scene=" + encodeURIComponent(control("scene").value); });
    for (const name of ["run", "outlines"]) control(name).addEventListener("change", draw);
    for (const name of ["opacity", "swipe", "score"]) control(name).addEventListener("input", draw);
    document.getElementById("panes").addEventListener("keydown", move);
    window.addEventListener("resize", () => setTimeout(fit, 200)); // once the panes have their new size
    window.addEventListener("hashchange", () => {
      const name = byAddress();
      if (name) select(name).then(() => document.getElementById("maps").scrollIntoView());
    });
    select(byAddress()).then(() => document.body.setAttribute("data-maps", "ready"));
  };

  if (data.scenes.length) begin();
})();

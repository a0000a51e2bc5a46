// The maps of a report: which scene, which run, how much of it. Bokeh draws; this fills its sources.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const control = (name) => document.getElementById("map-" + name);
  const pictures = new Map();
  const grids = new Map();
  let models = null;
  let scene = null;
  let whole = [];
  let drawing = 0;
  let soon = null;

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

  // What colours a picture has, to tell what lies under the pointer; undefined until that is known.
  const coloursOf = (uri) => {
    if (!grids.has(uri)) {
      grids.set(uri, undefined);
      decoded(uri).then((picture) => grids.set(uri, pixelsOf(picture)[1].getImageData(0, 0, picture.width, picture.height)));
    }
    return grids.get(uri);
  };

  const pixelsOf = (picture) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    return [canvas, context];
  };

  // The class that a picture shows at a place of the scene; "none" where there is none, nothing where it is not known.
  const classAt = (uri, column, row) => {
    const grid = uri ? coloursOf(uri) : null;
    if (!grid) return "";
    const across = Math.min(grid.width - 1, Math.floor((column * grid.width) / scene.width));
    const down = Math.min(grid.height - 1, Math.floor((row * grid.height) / scene.height));
    const [red, green, blue, alpha] = grid.data.slice(4 * (down * grid.width + across), 4 * (down * grid.width + across) + 4);
    const found = data.classes.filter(([, rgb]) => rgb[0] === red && rgb[1] === green && rgb[2] === blue);
    return alpha ? found.map(([name]) => name).join(" or ") : "none";
  };

  // Keep the part right of a share of the width, and of areas their outlines alone.
  const cut = async (uri, share, outlines) => {
    if (!share && !outlines) return uri;
    const [canvas, context] = pixelsOf(await decoded(uri));
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
    whole = [model("across").start, model("across").end];
  };

  // Panes of another size show all of the scene again, unless a part of it is looked at.
  const resized = () => {
    if (model("across").start === whole[0] && model("across").end === whole[1]) fit();
  };

  // Show a window of the scene, with as much again around it.
  const zoomTo = ([column, row, width, height]) => {
    const frame = model("pane-imagery");
    const across = frame.inner_width || 400;
    const down = frame.inner_height || 400;
    const scale = Math.max((2 * width) / across, (2 * height) / down);
    const range = (name, middle, size) => model(name).setv({ start: middle - size / 2, end: middle + size / 2 });
    range("across", column + width / 2, scale * across);
    range("down", scene.height - row - height / 2, scale * down);
  };

  // The share of the scene's width that the swipe takes away: it goes through what is in view.
  const swiped = () => {
    const share = Number(control("swipe").value);
    const { start, end } = model("across");
    return share ? Math.min(1, Math.max(0, (start + share * (end - start)) / scene.width)) : 0;
  };

  // Draws again whatever has been chosen meanwhile: of several at once, the last one counts.
  const draw = async () => {
    const mine = ++drawing;
    const found = (data.maps[scene.id] || {})[control("run").value] || {};
    const alpha = Number(control("opacity").value);
    const outlines = control("outlines").checked;
    const swipe = swiped();
    const overlays = { labels: [scene.labels, 0], prediction: [found.prediction, swipe], errors: [found.errors, 0] };
    for (const [name, [uri, share]] of Object.entries(overlays)) {
      const picture = uri && (await cut(uri, share, outlines));
      if (mine !== drawing) return;
      model(name).data = placed(picture, alpha);
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

  const select = (name, run) => {
    scene = data.scenes.find((one) => one.id === name) || data.scenes[0];
    grids.clear();
    control("pointer").textContent = "";
    control("scene").value = scene.id;
    const chosen = run || control("run").value;
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
    if (!inside) {
      control("pointer").textContent = "";
      return;
    }
    const found = (data.maps[scene.id] || {})[control("run").value] || {};
    const [label, predicted] = [classAt(scene.labels, column, row), classAt(found.prediction, column, row)];
    const said = [label && `label ${label}`, predicted && `predicted ${predicted}`].filter(Boolean).join(", ");
    const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.hypot(a, d))));
    const place = `column ${Math.floor(column)}, row ${Math.floor(row)}`;
    control("pointer").textContent =
      `${said && said + "; "}${place}; x ${(a * column + b * row + c).toFixed(digits)}, y ${(d * column + e * row + f).toFixed(digits)}`;
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

  // What an address asks for: #scene=<id>, and maybe &run=<name> and &at=<column>,<row>,<width>,<height>; null of others.
  const byAddress = () => {
    try {
      const parts = location.hash.replace(/^#/, "").split("&").map((part) => part.split("="));
      const { scene: name, run, at } = Object.fromEntries(parts.map(([key, value]) => [key, decodeURIComponent(value || "")]));
      const numbers = (at || "").split(",").map(Number);
      const window = numbers.length === 4 && numbers.every(Number.isFinite) && numbers[2] > 0 && numbers[3] > 0 ? numbers : null;
      return data.scenes.some((one) => one.id === name) ? { name, run, window } : null;
    } catch {
      return null; // no address of ours
    }
  };

  const go = async () => {
    const asked = byAddress();
    if (!asked) return;
    const drawn = select(asked.name, asked.run);
    if (asked.window) zoomTo(asked.window);
    await drawn;
    document.getElementById("maps").scrollIntoView();
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
    window.addEventListener("resize", () => setTimeout(resized, 200)); // once the panes have their new size
    control("brightness").addEventListener("input", () => {
      model("pane-imagery").styles = { filter: `brightness(${control("brightness").value})` };
    });
    model("across").change.connect(() => {
      clearTimeout(soon);
      if (Number(control("swipe").value)) soon = setTimeout(draw, 50);
    });
    window.addEventListener("hashchange", go);
    document.addEventListener("click", (event) => {
      const link = event.target.closest ? event.target.closest("a") : null;
      if (link && link.getAttribute("href") === location.hash) go(); // the address stays as it is
    });
    const asked = byAddress();
    const drawn = asked ? select(asked.name, asked.run) : select(null);
    if (asked && asked.window) zoomTo(asked.window);
    drawn.then(() => document.body.setAttribute("data-maps", "ready"));
  };

  if (data.scenes.length) begin();
})();

// The picture with its points and boxes: one canvas a side, drawn anew whenever something changes.

import { byId, element } from "./element.js";
import { drawFound, drawRemoved, drawTruth, legend, penOf } from "./overlay.js";
import { cellsOf, paintCells, placeOf, sharp } from "./paint.js";
import { activeSide, change, classHidden, levelName, onChange, sidesShown, starts, state } from "./state.js";

const stage = byId("stage");
const HINT = "Point at the picture to read its points.";
let pointer = null; // {x, y} in picture pixels

export function startStage() {
  onChange((parts) => {
    if (parts.has("sides")) {
      byId("main").classList.toggle("compared", state.compare);
      rebuild();
    }
    draw();
    legend();
  });
  new ResizeObserver(draw).observe(stage);
  byId("zoom-in").addEventListener("click", () => zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
  byId("zoom-fit").addEventListener("click", fit);
}

export function fit() {
  state.view = { zoom: 1, x: 0.5, y: 0.5 };
  change("view");
}

export function zoomBy(factor, around) {
  const view = state.view;
  const zoom = Math.min(16, Math.max(1, view.zoom * factor));
  if (around) {
    view.x = around.x + (view.x - around.x) * (view.zoom / zoom);
    view.y = around.y + (view.y - around.y) * (view.zoom / zoom);
  }
  view.zoom = zoom;
  hold(view);
  change("view");
}

function hold(view) {
  const least = 0.5 / view.zoom;
  view.x = Math.min(1 - least, Math.max(least, view.x));
  view.y = Math.min(1 - least, Math.max(least, view.y));
}

function rebuild() {
  stage.replaceChildren(...sidesShown().map((side, number) => {
    const canvas = element("canvas", { role: "img" });
    const figure = element("figure", { class: "side" }, canvas, element("figcaption"), element("p", { class: "fault", hidden: true, role: "alert" }));
    figure.addEventListener("pointerdown", () => {
      if (state.compare && state.active !== number) {
        state.active = number;
        change("active");
      }
    });
    pointing(canvas);
    return figure;
  }));
}

// From the picture's pixels to the canvas's.
function viewOf(width, height) {
  const { truth, view } = state;
  const scale = Math.min(width / truth.width, height / truth.height) * view.zoom;
  const x = width / 2 - (view.zoom > 1 ? view.x : 0.5) * truth.width * scale;
  const y = height / 2 - (view.zoom > 1 ? view.y : 0.5) * truth.height * scale;
  return { scale, x, y };
}

function draw() {
  if (!state.truth || !state.picture) return;
  const shown = sidesShown();
  [...stage.children].forEach((figure, number) => {
    if (shown[number]) drawSide(figure, shown[number], shown[1 - number], number);
  });
}

function drawSide(figure, side, other, number) {
  const canvas = figure.querySelector("canvas");
  const { context, width, height } = sharp(canvas);
  const view = viewOf(width, height);
  figure.classList.toggle("zoomed", state.view.zoom > 1);
  figure.classList.toggle("active", number === state.active);
  figure.classList.toggle("compared", state.compare);
  const caption = [state.compare ? "AB"[number] : "", side.assigner, side.model === null ? "" : state.about.models[side.model]];
  figure.querySelector("figcaption").textContent = state.compare ? caption.filter(Boolean).join(" · ") : "";
  const fault = figure.querySelector(".fault");
  fault.hidden = !side.fault;
  if (fault.textContent !== (side.fault ?? "")) fault.textContent = side.fault ?? "";
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  const image = state.map === "picture" ? state.picture.plain : state.picture.muted;
  context.imageSmoothingEnabled = view.scale < 3;
  context.drawImage(image, 0, 0, state.truth.width, state.truth.height);
  context.beginPath();
  context.rect(0, 0, state.truth.width, state.truth.height);
  context.clip();
  const dense = state.map === "score" || state.map === "iou";
  const grid = dense ? side.word : side.labels;
  if (grid) {
    const first = state.map === "difference" ? state.sides[0] : side;
    const second = state.map === "difference" ? state.sides[1] : other;
    const cells = cellsOf(first, second, state.map, state.about.box_colors);
    const strong = state.selected?.kind === "truth" ? new Set([state.selected.number]) : null;
    paintCells(context, grid, cells, { level: state.level, strong, visible: (owner) => !classHidden(state.truth.labels[owner]) });
  }
  context.restore();
  const pen = penOf(context, view);
  if (state.show.removed && side.word) drawRemoved(pen, side.word);
  drawTruth(pen, side);
  if (state.show.found && side.word) drawFound(pen, side.word);
  describe(canvas, side);
}

function describe(canvas, side) {
  const { truth } = state;
  const boxes = truth.ignore.filter((ignored) => !ignored).length;
  const points = side.labels ? side.labels.point.length : 0;
  const text = `${truth.name}: ${boxes} true boxes, ${points} points learn one of them by ${side.assigner}`;
  if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
  const choose = state.level === null ? "all" : String(state.level);
  Object.assign(canvas.dataset, { points: String(points), map: state.map, level: choose });
}

function pointing(canvas) {
  let drag = null;
  const at = (event) => {
    const view = viewOf(canvas.clientWidth, canvas.clientHeight);
    return { x: (event.offsetX - view.x) / view.scale, y: (event.offsetY - view.y) / view.scale, scale: view.scale };
  };
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    if (state.view.zoom > 1) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.truth) return;
    pointer = at(event);
    if (drag && state.view.zoom > 1 && event.buttons) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (drag.moved || Math.hypot(dx, dy) > 4) {
        state.view.x -= dx / pointer.scale / state.truth.width;
        state.view.y -= dy / pointer.scale / state.truth.height;
        hold(state.view);
        Object.assign(drag, { x: event.clientX, y: event.clientY, moved: true });
        change("view");
      }
    }
    readout();
  });
  canvas.addEventListener("pointerleave", () => {
    pointer = null;
    readout();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved && state.truth) pick(at(event));
    drag = null;
  });
  canvas.addEventListener("wheel", (event) => {
    if (!state.truth || !(event.ctrlKey || event.metaKey || state.view.zoom > 1)) return;
    event.preventDefault();
    const { x, y } = at(event);
    zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, { x: x / state.truth.width, y: y / state.truth.height });
  }, { passive: false });
}

// The smallest box under the pointer, of the list that is open.
function pick({ x, y }) {
  const kind = state.lists;
  const word = activeSide().word;
  const boxes = kind === "truth" ? state.truth.boxes : (word?.found.boxes ?? []);
  let best = null;
  boxes.forEach(([x1, y1, x2, y2], number) => {
    const label = kind === "truth" ? state.truth.labels[number] : word.found.labels[number];
    if (x < x1 || x > x2 || y < y1 || y > y2 || classHidden(label)) return;
    if (kind === "found" && word.found.scores[number] < state.threshold * 1000) return;
    const area = (x2 - x1) * (y2 - y1);
    if (!best || area < best.area) best = { number, area };
  });
  state.selected = best ? { kind, number: best.number } : null;
  change("selected");
}

// What the model and the assigner say at the point under the pointer.
function readout() {
  const told = byId("readout");
  const side = activeSide();
  const grid = side?.labels;
  if (!pointer || !grid) {
    told.textContent = HINT;
    return;
  }
  const level = state.level ?? finest(grid, pointer);
  const stride = grid.strides[level];
  const [h, w] = grid.sizes[level];
  const column = Math.round((pointer.x * grid.scale[1]) / stride - grid.offset);
  const row = Math.round((pointer.y * grid.scale[0]) / stride - grid.offset);
  if (column < 0 || row < 0 || column >= w || row >= h) {
    told.textContent = HINT;
    return;
  }
  const point = starts(grid.sizes)[level] + row * w + column;
  const place = grid.point.indexOf(point);
  const words = [`${levelName(stride)}, row ${row + 1}, column ${column + 1}`];
  words.push(place < 0 ? "label 0" : `label ${(grid.label[place] / 1000).toFixed(2)} of box ${grid.owner[place] + 1}`);
  if (grid.ignored.includes(point)) words.push("in an ignore region");
  if (side.word && point < side.word.score.length) {
    words.push(`score ${(side.word.score[point] / 1000).toFixed(2)}`, `IoU ${(side.word.iou[point] / 1000).toFixed(2)}`);
  }
  told.textContent = words.join("  ·  ");
}

// With all levels shown, the finest point that learns something under the pointer.
function finest(grid, { x, y }) {
  let best = null;
  const firsts = starts(grid.sizes);
  for (const point of grid.point) {
    const place = placeOf(grid, point, firsts);
    if (Math.abs(place.x - x) <= place.width / 2 && Math.abs(place.y - y) <= place.height / 2 && (best === null || place.level < best)) best = place.level;
  }
  return best ?? 0;
}

// One small picture a level: what its points show, how many there are, and the choice of the level that is drawn large.

import { byId, element } from "./element.js";
import { cellsOf, paintCells, sharp } from "./paint.js";
import { activeSide, change, classHidden, levelName, onChange, plural, startOf, starts, state } from "./state.js";

const holder = byId("levels");
let built = "";

export function startLevels() {
  onChange((parts) => {
    if ([...parts].every((part) => part === "view" || part === "survey")) return;
    draw();
  });
  new ResizeObserver(draw).observe(holder);
}

export function stepLevel(by) {
  const count = startOf(activeSide().model).strides.length; // known while labels are still on their way
  const at = state.level === null ? 0 : state.level + 1;
  const next = (at + by + count + 1) % (count + 1);
  state.level = next === 0 ? null : next - 1;
  change("level");
}

function draw() {
  const side = activeSide();
  if (!side?.labels || !state.picture) return;
  build(side.labels);
  const { labels } = side;
  const firsts = starts(labels.sizes);
  const dense = state.map === "score" || state.map === "iou";
  const map = state.map === "picture" ? "label" : state.map;
  const first = map === "difference" ? state.sides[0] : side;
  const cells = cellsOf(first, state.sides[1], map, state.about.box_colors);
  const strong = state.selected?.kind === "truth" ? new Set([state.selected.number]) : null;
  const mine = (i) => (strong ? strong.has(labels.owner[i]) : !classHidden(state.truth.labels[labels.owner[i]]));
  [...holder.querySelectorAll("label")].forEach((label, place) => {
    const level = place === 0 ? null : place - 1;
    const input = label.querySelector("input");
    input.checked = state.level === level;
    const count = labels.point.filter((point, i) => mine(i) && (level === null || (point >= firsts[level] && point < firsts[level + 1]))).length;
    const told = String(count);
    label.querySelector(".told").textContent = told;
    const name = level === null ? "All levels" : `${levelName(labels.strides[level])}, stride ${labels.strides[level]}`;
    input.setAttribute("aria-label", `${name}: ${plural(count, "point")}${strong ? ` of box ${state.selected.number + 1}` : ""}`);
    paint(label.querySelector("canvas"), dense ? side.word : labels, cells, level, strong);
  });
}

function paint(canvas, grid, cells, level, strong) {
  const { context, width, height } = sharp(canvas);
  const scale = Math.min(width / state.truth.width, height / state.truth.height);
  context.translate((width - state.truth.width * scale) / 2, (height - state.truth.height * scale) / 2);
  context.scale(scale, scale);
  context.drawImage(state.picture.muted, 0, 0, state.truth.width, state.truth.height);
  context.beginPath();
  context.rect(0, 0, state.truth.width, state.truth.height);
  context.clip();
  if (grid) paintCells(context, grid, cells, { level, strong, visible: (owner) => !classHidden(state.truth.labels[owner]) });
}

function build(labels) {
  const key = labels.strides.join();
  if (key === built) return;
  built = key;
  if (state.level !== null && state.level >= labels.strides.length) state.level = null;
  const tiles = [null, ...labels.strides.keys()].map((level) => {
    const input = element("input", { type: "radio", name: "level", value: level === null ? "all" : String(level) });
    input.addEventListener("change", () => {
      state.level = level;
      change("level");
    });
    const name = level === null ? "All" : levelName(labels.strides[level]);
    return element("label", {}, input, element("canvas", { "aria-hidden": "true" }),
      element("span", {}, element("b", {}, name), element("span", { class: "told" })));
  });
  holder.replaceChildren(holder.querySelector("legend"), ...tiles);
}

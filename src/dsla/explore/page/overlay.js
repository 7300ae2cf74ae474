// What lies over the points: true boxes, detections, and what suppression removed, with the legend of their lines.

import { byId, element } from "./element.js";
import { scaleOf } from "./paint.js";
import { activeSide, classHidden, state } from "./state.js";

const WRONG = "#ff5a4f";
const REMOVED = "#c3ccd8";
const BETTER = "#ff5cf0";
const RIM = "rgb(0 0 0 / 0.5)";
const BETTER_BY = 50; // thousandths of IoU

// Whether a removed box overlaps the true box clearly better than the detection that removed it.
export const fitsBetter = (removed, r) => removed.gain[r] !== null && removed.gain[r] > BETTER_BY;

// Draws boxes of the picture with lines as thick as they are on the screen.
export function penOf(context, view) {
  const rect = ([x1, y1, x2, y2]) => [view.x + x1 * view.scale, view.y + y1 * view.scale, (x2 - x1) * view.scale, (y2 - y1) * view.scale];
  return {
    box(box, color, thick, dash = [], alpha = 1) {
      context.globalAlpha = alpha;
      context.setLineDash([]);
      context.strokeStyle = RIM;
      context.lineWidth = thick + (dash.length ? 0.8 : 2);
      context.strokeRect(...rect(box));
      context.setLineDash(dash);
      context.strokeStyle = color;
      context.lineWidth = thick;
      context.strokeRect(...rect(box));
      context.setLineDash([]);
      context.globalAlpha = 1;
    },
    fine(box, color, dash, alpha) {
      context.globalAlpha = alpha;
      context.strokeStyle = RIM;
      context.lineWidth = 2;
      context.strokeRect(...rect(box));
      context.setLineDash(dash);
      context.strokeStyle = color;
      context.lineWidth = 1.2;
      context.strokeRect(...rect(box));
      context.setLineDash([]);
      context.globalAlpha = 1;
    },
    tag(box, text, color, force = false, below = false) {
      const [x, y, w, h] = rect(box);
      context.font = "600 11px system-ui, sans-serif";
      const long = context.measureText(text).width + 8;
      if (!force && long > w + 22) return;
      const top = below ? y + h + 1 : y > 17 ? y - 17 : y + 1;
      context.fillStyle = color;
      context.beginPath();
      context.roundRect(x - 1, top, long, 16, 3);
      context.fill();
      context.fillStyle = "#10141c";
      context.fillText(text, x + 3, top + 12);
    },
  };
}

// Which true boxes are found, at the threshold, and by what.
export function foundBy(word) {
  const by = new Map();
  word?.found.scores.forEach((score, n) => {
    if (score >= state.threshold * 1000 && word.found.match[n] >= 0) by.set(word.found.match[n], n);
  });
  return by;
}

export function drawTruth(pen, side) {
  const { truth, selected } = state;
  const judged = state.show.found && side.word ? foundBy(side.word) : null;
  const order = truth.boxes.map((_, g) => g).filter((g) => !classHidden(truth.labels[g]));
  order.sort((a, b) => (selected?.kind === "truth") * ((a === selected?.number) - (b === selected?.number)));
  for (const g of order) {
    const chosen = selected?.kind === "truth" && selected.number === g;
    if (truth.ignore[g]) {
      if (state.show.ignore) pen.box(truth.boxes[g], "#b9c2cd", chosen ? 2.5 : 1.2, [2, 3]);
      continue;
    }
    if (!state.show.truth && !chosen) continue;
    const missed = judged && !judged.has(g);
    const colors = state.map === "owner" ? state.about.box_colors : state.about.class_colors;
    const color = missed ? WRONG : colors[(state.map === "owner" ? g : truth.labels[g]) % colors.length];
    pen.box(truth.boxes[g], chosen ? "#ffffff" : color, chosen ? 3 : 2, [], selected && !chosen ? 0.35 : 1);
    if (chosen) pen.tag(truth.boxes[g], `${g + 1} ${state.about.classes[truth.labels[g]]}`, "#ffffff", true);
    else if (selected) continue;
    else if (missed && state.map === "picture") pen.tag(truth.boxes[g], "missed", WRONG);
    else if (state.map === "owner" || (state.map === "picture" && !judged)) pen.tag(truth.boxes[g], state.map === "owner" ? String(g + 1) : state.about.classes[truth.labels[g]], color);
  }
}

export function drawFound(pen, word) {
  const { found } = word;
  for (let n = found.boxes.length - 1; n >= 0; n -= 1) {
    if (found.scores[n] < state.threshold * 1000 || classHidden(found.labels[n])) continue;
    const chosen = state.selected?.kind === "found" && state.selected.number === n;
    const invented = found.match[n] === -1;
    const color = chosen ? "#ffffff" : invented ? WRONG : state.about.class_colors[found.labels[n]];
    const told = chosen || !state.selected || (state.selected.kind === "truth" && found.match[n] === state.selected.number);
    pen.box(found.boxes[n], color, chosen ? 3 : 1.5, [6, 4], told ? 1 : 0.22);
    if (told && (state.map === "picture" || state.selected)) pen.tag(found.boxes[n], (found.scores[n] / 1000).toFixed(2), color, chosen, state.selected?.kind === "truth");
  }
}

// Of a chosen detection only what it removed itself.
export function drawRemoved(pen, word) {
  const { removed, found } = word;
  const chosen = state.selected?.kind === "found" ? state.selected.number : null;
  removed.boxes.forEach((box, r) => {
    if (classHidden(removed.labels[r]) || found.scores[removed.by[r]] < state.threshold * 1000) return;
    if (chosen !== null && removed.by[r] !== chosen) return;
    const better = fitsBetter(removed, r);
    pen.fine(box, better ? BETTER : REMOVED, [2, 3], better ? 1 : chosen === null ? 0.4 : 0.8);
  });
}

export function legend() {
  const shown = [];
  const line = (text, color, kind = "") => {
    const mark = element("i", { class: kind });
    mark.style.color = color;
    shown.push(element("span", {}, mark, text));
  };
  if (["label", "score", "iou", "difference"].includes(state.map)) {
    const bar = element("i", { class: "bar" });
    bar.style.background = `linear-gradient(90deg, ${scaleOf(state.map).join(", ")})`;
    shown.push(element("span", {}, state.map === "difference" ? "B higher" : "0", bar, state.map === "difference" ? "A higher" : "1"));
  }
  if (state.map === "owner") shown.push(element("span", {}, "points in the colour of their box"));
  if (state.show.found && activeSide()?.word) {
    line("found", "currentColor", "dash");
    line("invented", WRONG, "dash");
    line("missed", WRONG);
  }
  if (state.show.removed && activeSide()?.word) {
    line("removed", "#8d98a7", "dots");
    line("removed though it fits better", BETTER, "dots");
  }
  byId("legend").replaceChildren(...shown);
}

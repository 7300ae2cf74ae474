// Colours of points, and the points themselves as rounded squares over the picture.

import { starts } from "./state.js";

const HEAT = ["#3b2a8c", "#8a2fa5", "#d8456f", "#f98e3c", "#fdf0a6"];
const BALANCE = ["#7cc7ff", "#2f6fb0", "#59616f", "#b0561b", "#ffb25e"];

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function ramp(stops) {
  const colors = stops.map(rgb);
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (colors.length - 1);
    const k = Math.min(Math.floor(at), colors.length - 2);
    return `rgb(${colors[k].map((low, c) => Math.round(low + (colors[k + 1][c] - low) * (at - k))).join(" ")})`;
  });
}

const heat = ramp(HEAT);
const balance = ramp(BALANCE);
const shade = (colors, share) => colors[Math.max(0, Math.min(255, Math.round(share * 255)))];

export const scaleOf = (map) => (map === "difference" ? BALANCE : HEAT);

// What is painted at each point: {point, color, alpha, owner}. `other` is the second side where both are compared.
export function cellsOf(side, other, map, boxColors) {
  const { labels, word } = side;
  if (map === "picture") return [];
  if (map === "score" || map === "iou") {
    if (!word) return [];
    return word[map].map((value, point) => ({ point, color: shade(heat, value / 1000), alpha: 0.95 * Math.sqrt(value / 1000) }))
      .filter((cell) => cell.alpha > 0.03);
  }
  if (!labels) return [];
  if (map === "difference") return differences(labels, other?.labels);
  return labels.point.map((point, i) => {
    const value = labels.label[i] / 1000;
    const owner = labels.owner[i];
    if (map === "owner") return { point, owner, value, color: boxColors[owner % boxColors.length], alpha: 0.88 };
    return { point, owner, value, color: shade(heat, value), alpha: 0.5 + 0.45 * value };
  });
}

function differences(first, second) {
  if (!second || JSON.stringify(first.sizes) !== JSON.stringify(second.sizes)) return [];
  const change = new Map();
  const add = (labels, sign) => labels.point.forEach((point, i) => {
    const had = change.get(point) ?? { value: 0, owner: labels.owner[i] };
    change.set(point, { ...had, value: had.value + (sign * labels.label[i]) / 1000 });
  });
  add(first, 1);
  add(second, -1);
  return [...change].filter(([, { value }]) => value !== 0)
    .map(([point, { value, owner }]) => ({ point, owner, value, color: shade(balance, (value + 1) / 2), alpha: 0.55 + 0.4 * Math.abs(value) }));
}

// Where a point's cell lies, in the picture's own pixels.
export function placeOf(grid, point, firsts = starts(grid.sizes)) {
  let level = 0;
  while (point >= firsts[level + 1]) level += 1;
  const stride = grid.strides[level];
  const [, w] = grid.sizes[level];
  const at = point - firsts[level];
  const [sy, sx] = grid.scale;
  const row = Math.floor(at / w);
  const column = at % w;
  return {
    level, row, column,
    x: ((column + grid.offset) * stride) / sx, y: ((row + grid.offset) * stride) / sy,
    width: stride / sx, height: stride / sy,
  };
}

// Paint cells, coarse levels first. The context's unit is the picture's pixel.
export function paintCells(context, grid, cells, { level, strong, dim = 0.2, visible }) {
  const firsts = starts(grid.sizes);
  const placed = [];
  for (const cell of cells) {
    if (visible && cell.owner !== undefined && !visible(cell.owner)) continue;
    const place = placeOf(grid, cell.point, firsts);
    if (level === null || place.level === level) placed.push([place, cell]);
  }
  placed.sort(([a], [b]) => b.level - a.level);
  for (const [place, cell] of placed) {
    const fade = strong === null || strong === undefined || cell.owner === undefined || strong.has(cell.owner) ? 1 : dim;
    context.globalAlpha = cell.alpha * fade;
    context.fillStyle = cell.color;
    const w = place.width * 0.92;
    const h = place.height * 0.92;
    context.beginPath();
    context.roundRect(place.x - w / 2, place.y - h / 2, w, h, Math.min(w, h) * 0.16);
    context.fill();
  }
  context.globalAlpha = 1;
}

// The picture, and its grey dim twin that colours stand out from.
export function twins(image) {
  const plain = canvasOf(image);
  const muted = canvasOf(image);
  const context = muted.getContext("2d");
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "hsl(0 0% 50%)";
  context.fillRect(0, 0, muted.width, muted.height);
  context.globalCompositeOperation = "source-over";
  context.fillStyle = "rgb(12 15 21 / 0.5)";
  context.fillRect(0, 0, muted.width, muted.height);
  return { plain, muted };
}

function canvasOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

// A canvas as sharp as the screen; gives its context with the unit of a CSS pixel.
export function sharp(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth, clientHeight } = canvas;
  const [w, h] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  return { context, width: clientWidth, height: clientHeight };
}

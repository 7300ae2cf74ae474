// The list of pictures. Only what is in sight has elements, so that thousands cost no more than a few.

import { pictureAddress } from "./api.js";
import { byId, element } from "./element.js";
import { activeSide, change, onChange, plural, state } from "./state.js";

const list = byId("list");
const tall = list.querySelector(".tall");
const phone = matchMedia("(max-width: 720px)");
const TILE = { width: 108, height: 112, spare: 3 };

export function startPictures(open) {
  list.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  new ResizeObserver(paint).observe(list);
  phone.addEventListener("change", paint);
  list.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), PageDown: 4 * columns(), PageUp: -4 * columns() }[event.key];
    const place = state.order.indexOf(state.index);
    const next = event.key === "Home" ? 0 : event.key === "End" ? state.order.length - 1 : by === undefined ? null : place + by;
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation();
    open(state.order[Math.max(0, Math.min(state.order.length - 1, next))]);
  });
  tall.addEventListener("click", (event) => {
    const tile = event.target.closest(".thumb");
    if (tile) open(Number(tile.dataset.index));
  });
  for (const id of ["find", "with-class", "sort"]) byId(id).addEventListener("input", () => arrange());
  onChange((parts) => {
    if (parts.has("survey")) arrange(false);
    else if (parts.has("index") || parts.has("list")) paint();
    if (parts.has("index")) reveal();
    if (parts.has("model") || parts.has("active") || parts.has("sides")) sorts();
  });
}

// Sorting by errors needs a model.
function sorts() {
  const model = activeSide()?.model ?? null;
  for (const option of byId("sort").querySelectorAll("[data-model]")) option.disabled = model === null;
  if (model === null && byId("sort").selectedOptions[0].dataset.model !== undefined) {
    byId("sort").value = "index";
    arrange();
  }
}

export const sortedByErrors = () => byId("sort").selectedOptions[0].dataset.model !== undefined;

export function arrange(top = true) {
  if (!state.list) return;
  const words = byId("find").value.trim().toLowerCase();
  const wanted = byId("with-class").value;
  const { names, boxes, classes } = state.list;
  let order = [...names.keys()].filter((i) => names[i].toLowerCase().includes(words));
  if (wanted !== "") order = order.filter((i) => classes[i].includes(Number(wanted)));
  const sort = byId("sort").value;
  const known = (key) => (i) => state.survey?.[key][i] ?? -1;
  const falling = { most: (i) => boxes[i], fewest: (i) => -boxes[i], error: known("error"), missed: known("missed"), invented: known("invented") }[sort];
  if (sort === "name") order.sort((a, b) => names[a].localeCompare(names[b], undefined, { numeric: true }));
  else if (falling) order.sort((a, b) => falling(b) - falling(a) || a - b);
  state.order = order;
  const done = sortedByErrors() && state.survey && state.survey.done < state.survey.total ? `, ${state.survey.done} of ${state.survey.total} measured` : "";
  const marks = sortedByErrors() && state.survey ? "; − missed, + invented" : "";
  byId("count").textContent = `${plural(order.length, "picture")}${done}${marks}`;
  if (top) list.scrollTo(0, 0);
  change("list");
}

export function step(by, open) {
  const place = state.order.indexOf(state.index);
  const next = state.order[place < 0 ? 0 : place + by];
  if (next !== undefined) open(next);
}

const columns = () => (phone.matches ? 1 : Math.max(1, Math.floor((list.clientWidth - 12) / TILE.width)));

function geometry() {
  const across = columns();
  const width = phone.matches ? TILE.width : Math.floor((list.clientWidth - 12) / across);
  return { across, width };
}

function paint() {
  if (!state.list) return;
  const { across, width } = geometry();
  const rows = Math.ceil(state.order.length / across);
  const [size, seen, at] = phone.matches
    ? [width, list.clientWidth, list.scrollLeft]
    : [TILE.height, list.clientHeight, list.scrollTop];
  tall.style.width = phone.matches ? `${state.order.length * width + 12}px` : "auto";
  tall.style.height = phone.matches ? `${TILE.height}px` : `${rows * TILE.height + 12}px`;
  const from = Math.max(0, Math.floor(at / size) - TILE.spare) * across;
  const to = Math.min(state.order.length, (Math.ceil((at + seen) / size) + TILE.spare) * across);
  const had = new Map([...tall.children].map((tile) => [tile.dataset.key, tile]));
  const kept = [];
  for (let place = from; place < to; place += 1) {
    const index = state.order[place];
    const key = `${state.split}-${index}`;
    const tile = had.get(key) ?? make(index, key);
    const [row, column] = phone.matches ? [0, place] : [Math.floor(place / across), place % across];
    tile.style.transform = `translate(${6 + column * width}px, ${6 + row * TILE.height}px)`;
    tile.style.width = `${width}px`;
    tile.setAttribute("aria-posinset", String(place + 1));
    tile.setAttribute("aria-setsize", String(state.order.length));
    tile.setAttribute("aria-selected", String(index === state.index));
    tile.querySelector("b").textContent = fact(index);
    kept.push(tile);
  }
  const wanted = new Set(kept);
  [...tall.children].forEach((tile) => wanted.has(tile) || tile.remove());
  kept.forEach((tile) => tile.parentNode || tall.append(tile));
  const chosen = tall.querySelector('[aria-selected="true"]');
  if (chosen) list.setAttribute("aria-activedescendant", chosen.id);
  else list.removeAttribute("aria-activedescendant");
}

function fact(index) {
  const { survey } = state;
  if (sortedByErrors() && survey?.error[index] !== null && survey) return `−${survey.missed[index]} +${survey.invented[index]}`;
  return String(state.list.boxes[index]);
}

function make(index, key) {
  const image = element("img", { class: "face", alt: "", loading: "lazy", decoding: "async", draggable: "false", src: pictureAddress(state.about, state.split, index, "thumb") });
  const tile = element("div", { class: "thumb", role: "option", id: `picture-${key}`, title: state.list.names[index] }, image,
    element("div", { class: "word" }, element("span", {}, shortName(index)), element("b")));
  tile.dataset.index = String(index);
  tile.dataset.key = key;
  return tile;
}

// Without what all names begin with, and without the suffix: what tells pictures apart stands in sight.
function shortName(index) {
  const { names } = state.list;
  if (state.list.prefix === undefined) {
    const [first, last] = [names.reduce((a, b) => (a < b ? a : b)), names.reduce((a, b) => (a > b ? a : b))];
    let same = 0;
    while (same < first.length && first[same] === last[same]) same += 1;
    while (same > 0 && /[0-9]/.test(first[same - 1])) same -= 1;
    state.list.prefix = names.length > 1 && same > 5 ? same : 0;
  }
  return names[index].slice(state.list.prefix).replace(/\.[a-z]+$/i, "");
}

function reveal() {
  const place = state.order.indexOf(state.index);
  if (place < 0) return;
  const { across, width } = geometry();
  const [size, seen, at] = phone.matches ? [width, list.clientWidth, list.scrollLeft] : [TILE.height, list.clientHeight, list.scrollTop];
  const start = (phone.matches ? place : Math.floor(place / across)) * size;
  const to = start < at ? start : start + size + 12 > at + seen ? start + size + 12 - seen : at;
  if (to !== at) list.scrollTo(phone.matches ? { left: to } : { top: to });
  paint();
}

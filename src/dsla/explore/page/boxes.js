// The boxes of the picture as a list, and what is known of the chosen one.

import { byId, element, segments } from "./element.js";
import { fitsBetter, foundBy } from "./overlay.js";
import { activeSide, change, classHidden, levelName, onChange, plural, sidesShown, starts, state } from "./state.js";

const holder = byId("boxes");
const card = byId("card");
let said = "";

export function startBoxes() {
  holder.addEventListener("keydown", (event) => {
    const options = [...holder.querySelectorAll("[role=option]")];
    const place = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const next = { ArrowDown: place + 1, ArrowUp: place < 0 ? 0 : place - 1, Home: 0, End: options.length - 1 }[event.key];
    if (next === undefined || !options.length) return;
    event.preventDefault();
    choose(Number(options[Math.max(0, Math.min(options.length - 1, next))].dataset.number));
  });
  holder.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(Number(option.dataset.number));
  });
  onChange((parts) => {
    if ([...parts].every((part) => ["view", "survey", "list"].includes(part)) || !state.truth) return;
    tabs();
    list();
    details();
  });
}

function choose(number) {
  state.selected = { kind: state.lists, number };
  change("selected");
}

function tabs() {
  const word = activeSide().word;
  if (!word && state.lists === "found") state.lists = "truth";
  const found = word ? word.found.scores.filter((score) => score >= state.threshold * 1000).length : undefined;
  segments(byId("lists"), "lists", [
    { value: "truth", text: "True boxes", count: state.truth.boxes.length },
    { value: "found", text: "Detections", count: found, disabled: !word, title: word ? null : "Choose a model first" },
  ], state.lists, (value) => {
    state.lists = value;
    state.selected = null;
    if (value === "found") state.show.found = true;
    change("selected", "show");
  });
  holder.setAttribute("aria-label", state.lists === "truth" ? "True boxes" : "Detections");
}

// Points of each box, a level.
export function pointsOf(labels, number) {
  const firsts = starts(labels.sizes);
  const levels = labels.strides.map(() => ({ points: 0, top: 0 }));
  labels.point.forEach((point, i) => {
    if (labels.owner[i] !== number) return;
    const level = levels[firsts.findIndex((first, l) => point >= first && point < firsts[l + 1])];
    level.points += 1;
    level.top = Math.max(level.top, labels.label[i] / 1000);
  });
  return levels;
}

function list() {
  const side = activeSide();
  const rows = state.lists === "truth" ? truthRows(side) : foundRows(side.word);
  const key = JSON.stringify([rows, state.selected, state.split, state.index]);
  if (holder.dataset.rows === key) return;
  holder.dataset.rows = key;
  const had = holder.contains(document.activeElement);
  holder.replaceChildren(...rows.map(({ number, color, word, fact }) => {
    const mark = element("i");
    mark.style.background = color;
    const chosen = state.selected?.kind === state.lists && state.selected.number === number;
    const option = element("div", { class: "option", role: "option", id: `box-${number}`, "aria-selected": String(chosen) }, mark,
      element("span", { class: "number" }, String(number + 1)), element("span", { class: "word" }, word), element("span", { class: "fact" }, fact));
    option.dataset.number = String(number);
    return option;
  }));
  if (!rows.length) holder.append(element("p", { class: "empty" }, state.lists === "truth" ? "No boxes of these classes in this picture." : "Nothing is found at this score."));
  const chosen = holder.querySelector('[aria-selected="true"]');
  if (chosen) {
    holder.setAttribute("aria-activedescendant", chosen.id);
    const [top, bottom] = [chosen.offsetTop - holder.offsetTop, chosen.offsetTop - holder.offsetTop + chosen.offsetHeight];
    if (top < holder.scrollTop) holder.scrollTop = top - 4;
    else if (bottom > holder.scrollTop + holder.clientHeight) holder.scrollTop = bottom - holder.clientHeight + 4;
  } else holder.removeAttribute("aria-activedescendant");
  if (had) holder.focus({ preventScroll: true });
}

function truthRows(side) {
  const { truth, about } = state;
  const found = side.word ? foundBy(side.word) : null;
  const counts = new Map();
  side.labels?.owner.forEach((owner) => counts.set(owner, (counts.get(owner) ?? 0) + 1));
  return [...truth.boxes.keys()].filter((g) => !classHidden(truth.labels[g])).map((g) => ({
    number: g,
    color: state.map === "owner" ? about.box_colors[g % about.box_colors.length] : about.class_colors[truth.labels[g]],
    word: about.classes[truth.labels[g]],
    fact: truth.ignore[g] ? "ignore region" : plural(counts.get(g) ?? 0, "point") + (found && !found.has(g) ? ", missed" : ""),
  }));
}

function foundRows(word) {
  if (!word) return [];
  const { found } = word;
  return [...found.boxes.keys()]
    .filter((n) => found.scores[n] >= state.threshold * 1000 && !classHidden(found.labels[n]))
    .map((n) => ({
      number: n,
      color: state.about.class_colors[found.labels[n]],
      word: state.about.classes[found.labels[n]],
      fact: `${(found.scores[n] / 1000).toFixed(2)}, ${verdict(found, n)}`,
    }));
}

const verdict = (found, n) =>
  found.match[n] >= 0 ? `IoU ${(found.iou[n] / 1000).toFixed(2)}` : found.match[n] === -2 ? "ignored" : "invented";

function details() {
  const { selected } = state;
  const parts = selected === null ? hint() : selected.kind === "truth" ? truthCard(selected.number) : foundCard(selected.number);
  card.replaceChildren(...parts);
}

function hint() {
  say("");
  return [element("p", { class: "note" }, "Choose a box, in the picture or in the list, to see its points on every level.")];
}

function truthCard(number) {
  const { truth, about } = state;
  const [x1, y1, x2, y2] = truth.boxes[number];
  const title = `Box ${number + 1}, ${about.classes[truth.labels[number]]}`;
  const size = `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)} px in the picture`;
  const sides = sidesShown().filter((side) => side.labels);
  const parts = [element("h3", {}, title)];
  if (truth.ignore[number]) {
    say(`${title}, an ignore region`);
    return [...parts, element("p", { class: "note" }, `${size}. An ignore region: no point learns it, and inside it nothing is background.`)];
  }
  const main = activeSide();
  if (main.labels?.lost.includes(number)) {
    say(`${title}, too small at this picture size`);
    return [...parts, element("p", { class: "note" }, `${size}. Too small at this picture size: nothing of it is left.`)];
  }
  const found = main.word ? foundBy(main.word).get(number) : undefined;
  const fate = !main.word ? "" : found === undefined ? ` Missed at a score of ${state.threshold.toFixed(2)}.`
    : ` Found with ${(main.word.found.scores[found] / 1000).toFixed(2)}, IoU ${(main.word.found.iou[found] / 1000).toFixed(2)}.`;
  parts.push(element("p", { class: "note" }, `${size}.${fate}`));
  if (main.labels) {
    const levels = pointsOf(main.labels, number);
    const used = levels.map(({ points }, l) => [points, l]).filter(([points]) => points);
    const total = used.reduce((sum, [points]) => sum + points, 0);
    const where = used.map(([points, l]) => `${points} on ${levelName(main.labels.strides[l])}`).join(", ");
    say(`${title}, ${plural(total, "point")} on ${plural(used.length, "level")}${where ? `: ${where}` : ""}.${fate}`);
    parts.push(table(sides, number));
  }
  return parts;
}

function table(sides, number) {
  const head = [element("th", { scope: "col" }, "Level")];
  sides.forEach((_, s) => {
    const name = sides.length > 1 ? ` ${"AB"[s]}` : "";
    head.push(element("th", { scope: "col" }, `Points${name}`), element("th", { scope: "col" }, `Top label${name}`));
  });
  const all = sides.map((side) => pointsOf(side.labels, number));
  const rows = sides[0].labels.strides.map((stride, level) => {
    const cells = all.flatMap((levels) => [levels[level]?.points ?? 0, levels[level]?.points ? levels[level].top.toFixed(2) : "–"]);
    return element("tr", {}, element("td", {}, levelName(stride)), ...cells.map((cell) => element("td", {}, String(cell))));
  });
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

function foundCard(number) {
  const { word } = activeSide();
  if (!word || number >= word.found.boxes.length) return hint();
  const { found, removed } = word;
  const title = `Detection ${number + 1}, ${state.about.classes[found.labels[number]]}`;
  const mine = [...removed.by.keys()].filter((r) => removed.by[r] === number);
  const better = mine.filter((r) => fitsBetter(removed, r));
  const most = better.length ? Math.max(...better.map((r) => removed.gain[r])) / 1000 : 0;
  const match = found.match[number];
  const facts = [
    `Score ${(found.scores[number] / 1000).toFixed(2)}. `,
    match >= 0 ? `Matches box ${match + 1} with IoU ${(found.iou[number] / 1000).toFixed(2)}. ` : match === -2 ? "Lies in an ignore region and does not count. " : "Matches no free true box of its class: invented. ",
    mine.length ? `Suppression removed ${plural(mine.length, "box")} for it` : "It removed nothing",
    better.length ? `, of which ${better.length} fit the true box better, by up to ${most.toFixed(2)} IoU.` : ".",
  ].join("");
  say(`${title}. ${facts}`);
  return [element("h3", {}, title), element("p", { class: "note" }, facts)];
}

// Only what is new is told, or a slider would read the same box again and again.
function say(text) {
  if (text === said) return;
  said = text;
  byId("live").textContent = text;
}

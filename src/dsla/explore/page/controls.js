// The settings at the right: which assigner and model, how they are turned, what is shown.

import { byId, element, segments } from "./element.js";
import { fitsBetter } from "./overlay.js";
import { activeSide, change, onChange, plural, startOf, state } from "./state.js";

let shownTurns = "";

export function startControls({ relabel, reword, survey, newSide }) {
  byId("assigner").addEventListener("change", (event) => {
    Object.assign(activeSide(), { assigner: event.target.value, settings: {} });
    change("assigner");
    relabel();
  });
  byId("model").addEventListener("change", (event) => {
    const side = activeSide();
    const model = event.target.value === "" ? null : Number(event.target.value);
    const start = startOf(model);
    Object.assign(side, { model, assigner: start.assigner, settings: {}, word: null });
    Object.assign(state, { imgsz: start.imgsz, offset: start.offset, survey: null });
    if (model !== null) state.show.found = true;
    else if (["score", "iou"].includes(state.map)) state.map = "label";
    change("model", "show");
    relabel();
    reword();
    survey();
  });
  byId("reset").addEventListener("click", () => {
    activeSide().settings = {};
    const start = startOf(activeSide().model);
    Object.assign(state, { imgsz: start.imgsz, offset: start.offset });
    change("assigner");
    relabel();
    reword();
  });
  byId("compare").addEventListener("change", (event) => {
    state.compare = event.target.checked;
    if (state.compare && state.sides.length < 2) state.sides.push(newSide());
    if (!state.compare) {
      state.active = 0;
      if (state.map === "difference") state.map = "label";
    } else state.active = 1;
    change("sides", "active");
    relabel();
    reword();
  });
  const slide = (id, key, told, then) => byId(id).addEventListener("input", (event) => {
    state[key] = Number(event.target.value);
    byId(`${id}-told`).textContent = told(state[key]);
    then();
  });
  slide("imgsz", "imgsz", (value) => `${value} px`, () => { relabel(performance.now()); reword(); });
  slide("offset", "offset", placeTold, () => relabel(performance.now()));
  slide("threshold", "threshold", (value) => value.toFixed(2), () => { change("threshold"); survey(); });
  for (const [id, key] of [["show-truth", "truth"], ["show-ignore", "ignore"], ["show-found", "found"], ["show-removed", "removed"]]) {
    byId(id).addEventListener("change", (event) => {
      state.show[key] = event.target.checked;
      change("show");
    });
  }
  classes();
  onChange((parts) => {
    if ([...parts].every((part) => ["view", "list", "survey"].includes(part))) return;
    show(relabel);
  });
}

const placeTold = (value) => (value === 0 ? "corner" : value === 0.5 ? "centre" : value.toFixed(2));

function classes() {
  const holder = byId("classes");
  state.about.classes.forEach((name, label) => {
    const input = element("input", { type: "checkbox", checked: true });
    input.addEventListener("change", () => {
      if (input.checked) state.hidden.delete(label);
      else state.hidden.add(label);
      change("classes");
    });
    const mark = element("i");
    mark.style.background = state.about.class_colors[label];
    holder.append(element("label", {}, input, mark, element("span", {}, name)));
  });
}

function show(relabel) {
  const side = activeSide();
  const start = startOf(side.model);
  byId("compare").checked = state.compare;
  byId("sides").hidden = !state.compare;
  if (state.compare) {
    segments(byId("sides"), "side", [{ value: 0, text: "A, left" }, { value: 1, text: "B, right" }], state.active, (value) => {
      state.active = value;
      change("active");
    });
  }
  options(byId("assigner"), Object.entries(start.assigners).map(([name, { needs_model: needs }]) => {
    const missing = needs && side.model === null;
    const trained = side.model !== null && name === start.assigner ? " (as trained)" : missing ? " (needs a model)" : "";
    return { value: name, text: name + trained, disabled: missing };
  }), side.assigner);
  document.querySelectorAll(".of-model").forEach((part) => { part.hidden = !state.about.models.length; });
  options(byId("model"), [{ value: "", text: "none" }, ...state.about.models.map((name, value) => ({ value: String(value), text: name }))], side.model === null ? "" : String(side.model));
  turns(side, start, relabel);
  set("imgsz", state.imgsz, `${state.imgsz} px`);
  set("offset", state.offset, placeTold(state.offset));
  set("threshold", state.threshold, state.threshold.toFixed(2));
  byId("found-group").hidden = side.model === null;
  for (const key of ["truth", "ignore", "found", "removed"]) byId(`show-${key}`).checked = state.show[key];
  byId("tally").textContent = tally(side.word);
  maps(side);
}

function set(id, value, told) {
  if (document.activeElement !== byId(id) || Number(byId(id).value) !== value) byId(id).value = String(value);
  byId(`${id}-told`).textContent = told;
}

function options(select, choices, chosen) {
  const key = JSON.stringify(choices);
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...choices.map(({ value, text, disabled }) => element("option", { value, disabled }, text)));
  }
  select.value = chosen;
}

function maps(side) {
  const word = side.model !== null;
  segments(byId("maps"), "map", [
    { value: "picture", text: "Picture" },
    { value: "label", text: "Label" },
    { value: "owner", text: "Whose" },
    { value: "score", text: "Score", disabled: !word, title: word ? null : "Choose a model first" },
    { value: "iou", text: "IoU", disabled: !word, title: word ? null : "Choose a model first" },
    { value: "difference", text: "Difference", disabled: !state.compare, title: state.compare ? null : "Compare two first" },
  ], state.map, (value) => {
    state.map = value;
    change("map");
  });
}

function tally(word) {
  if (!word) return "";
  const { found, removed } = word;
  const sure = (n) => found.scores[n] >= state.threshold * 1000;
  const shown = [...found.scores.keys()].filter(sure);
  const right = shown.filter((n) => found.match[n] >= 0).length;
  const invented = shown.filter((n) => found.match[n] === -1).length;
  const boxes = state.truth ? state.truth.ignore.filter((ignored) => !ignored).length : 0;
  const gone = [...removed.by.keys()].filter((r) => sure(removed.by[r]));
  const better = gone.filter((r) => fitsBetter(removed, r)).length;
  return `${right} of ${plural(boxes, "box")} found, ${boxes - right} missed, ${invented} invented. Suppression removed ${gone.length}; ${better} of them fit better than what removed them.`;
}

// Controls of the assigner; made anew only when it is another one, so that a slider in use stays.
function turns(side, start, relabel) {
  const { controls, values } = start.assigners[side.assigner];
  const key = JSON.stringify([state.active, side.assigner, side.model, controls.map(({ field }) => field)]);
  const holder = byId("turns");
  if (key !== shownTurns) {
    shownTurns = key;
    holder.replaceChildren(...controls.map((control) => turn(control, side, values, relabel)));
  }
  for (const control of controls) refresh(holder.querySelector(`[data-field="${control.field}"]`), control, side, values);
}

function turn(control, side, values, relabel) {
  const id = `turn-${control.field}`;
  const give = (value) => {
    if (value === values[control.field]) delete side.settings[control.field];
    else side.settings[control.field] = value;
    change("settings");
    relabel(performance.now());
  };
  if (control.kind === "switch") {
    const input = element("input", { id, type: "checkbox", role: "switch" });
    input.addEventListener("change", () => give(input.checked));
    return element("label", { class: "switch", title: control.help, "data-field": control.field }, input, element("span", {}, control.label));
  }
  if (control.kind === "choice") {
    const select = element("select", { id }, ...control.choices.map((choice) => element("option", { value: choice }, choice)));
    select.addEventListener("change", () => give(select.value));
    return element("div", { title: control.help, "data-field": control.field }, element("label", { for: id }, control.label), select);
  }
  const input = element("input", { id, type: "range", min: String(control.low), max: String(control.high), step: String(control.step) });
  input.addEventListener("input", () => give(Number(input.value)));
  const parts = [element("label", { for: id }, control.label), element("output", { for: id }), input];
  if (control.optional) {
    input.value = "1.5"; // where it starts when it is turned on
    const on = element("input", { id: `${id}-on`, type: "checkbox", role: "switch", "aria-label": `Limit by ${control.label.toLowerCase()}` });
    on.addEventListener("change", () => give(on.checked ? Number(input.value) : null));
    parts.unshift(on);
  }
  return element("div", { class: control.optional ? "slider optional" : "slider", title: control.help, "data-field": control.field }, ...parts);
}

function refresh(holder, control, side, values) {
  const value = control.field in side.settings ? side.settings[control.field] : values[control.field];
  const now = (field) => (field in side.settings ? side.settings[field] : values[field]);
  const needsModel = side.model === null && ["coupling", "iou_only"].includes(control.field);
  if (control.kind === "switch") {
    const input = holder.querySelector("input");
    input.checked = value;
    input.disabled = needsModel;
    holder.title = needsModel ? `${control.help} Choose a model first.` : control.help;
    return;
  }
  if (control.kind === "choice") {
    const select = holder.querySelector("select");
    select.value = value;
    const iou = select.querySelector('option[value="iou"]');
    if (iou) iou.disabled = side.model === null;
    return;
  }
  const input = holder.querySelector('input[type="range"]');
  if (control.optional) holder.querySelector('[type="checkbox"]').checked = value !== null;
  input.disabled = value === null || (control.field === "relaxation_factor" && !now("relaxation"));
  if (value !== null && Number(input.value) !== value) input.value = String(value);
  holder.querySelector("output").textContent = value === null ? "off" : String(Math.round(value * 1000) / 1000);
}

// The page of `dsla explore`: asks the server what there is, and keeps labels and predictions up to date.

import { ask, get, Latest, pictureAddress } from "./api.js";
import { startBoxes } from "./boxes.js";
import { startControls } from "./controls.js";
import { byId, element, segments } from "./element.js";
import { startLevels, stepLevel } from "./levels.js";
import { twins } from "./paint.js";
import { arrange, sortedByErrors, startPictures, step } from "./pictures.js";
import { fit, startStage, zoomBy } from "./stage.js";
import { activeSide, change, onChange, plural, sidesShown, startOf, state } from "./state.js";
import { startTheme } from "./theme.js";

const labelling = [new Latest(), new Latest()];
const wording = [new Latest(), new Latest()];
const opening = new Latest();
let surveying = null;

function complain(error) {
  byId("problem").hidden = !error;
  byId("problem").textContent = error ? error.message : "";
}

// Whether the picture that was asked about is still the one that is shown.
const still = ({ split, index }) => state.split === split && state.index === index;

// A side's labels. With a moment, the time from there to the painted labels is kept as a measure of the browser.
function relabelSide(number, moment) {
  const side = state.sides[number];
  if (!side || state.index < 0) return;
  labelling[number].run(async (latest) => {
    const question = {
      split: state.split, index: state.index, imgsz: state.imgsz, offset: state.offset,
      assigner: side.assigner, settings: { ...side.settings }, model: side.model,
    };
    try {
      // Painted even where a later question waits, so that a picture moves along with a slider that is dragged.
      const labels = await ask("api/labels", question);
      if (!still(question)) return;
      Object.assign(side, { labels, fault: null });
    } catch (error) {
      if (!latest()) return;
      Object.assign(side, { labels: null, fault: error.message });
    }
    change("labels");
    if (moment !== undefined) requestAnimationFrame(() => performance.measure("slider to labels", { start: moment, end: performance.now() }));
  });
}

const relabel = (moment) => sidesShown().forEach((_, number) => relabelSide(number, moment));

function reword() {
  sidesShown().forEach((side, number) => {
    if (side.model === null) {
      side.word = null;
      return change("word");
    }
    if (state.index < 0) return;
    wording[number].run(async (latest) => {
      try {
        const question = { split: state.split, index: state.index, imgsz: state.imgsz, model: side.model };
        const word = await ask("api/word", question);
        if (!still(question) || side.model !== question.model) return;
        side.word = word;
      } catch (error) {
        if (!latest()) return;
        Object.assign(side, { word: null, fault: error.message });
      }
      change("word");
    });
  });
}

// Errors of all pictures; asked again until they are all known.
function survey() {
  clearTimeout(surveying);
  const model = activeSide().model;
  if (model === null || !sortedByErrors()) return;
  surveying = setTimeout(async () => {
    try {
      state.survey = await ask("api/survey", { split: state.split, model, threshold: state.threshold });
      change("survey");
      if (state.survey.done < state.survey.total) survey();
    } catch (error) {
      complain(error);
    }
  }, state.survey ? 600 : 0);
}

function open(index) {
  if (index === undefined || index === state.index) return;
  state.index = index;
  state.selected = null;
  change("index");
  opening.run(async (latest) => {
    const image = new Image();
    image.src = pictureAddress(state.about, state.split, index, "picture");
    try {
      const [truth] = await Promise.all([get(`api/pictures/${state.split}/${index}`), image.decode()]);
      if (!latest()) return;
      complain(null);
      byId("main").classList.remove("blank");
      state.sides.forEach((side) => Object.assign(side, { labels: null, word: null, fault: null }));
      Object.assign(state, { truth, picture: twins(image), view: { zoom: 1, x: 0.5, y: 0.5 } });
      title();
      change("picture");
      relabel();
      reword();
    } catch (error) {
      // A picture that cannot be decoded here was none: the server's answer at its address says why.
      const reason = error.name === "EncodingError" ? await get(image.src).catch((told) => told) : error;
      if (!latest()) return;
      complain(reason);
      byId("main").classList.add("blank");
      byId("picture-name").textContent = state.list.names[index];
      byId("picture-facts").textContent = "";
    }
  });
}

function title() {
  const { truth } = state;
  byId("picture-name").textContent = truth.name;
  const ignored = truth.ignore.filter(Boolean).length;
  const more = ignored ? `, ${plural(ignored, "ignore region")}` : "";
  byId("picture-facts").textContent = `${truth.width} × ${truth.height} px, ${plural(truth.boxes.length - ignored, "box")}${more}`;
  document.title = `${truth.name} – dsla explore`;
}

async function openSplit(split) {
  Object.assign(state, { split, list: null, index: -1, survey: null });
  const parts = Object.entries(state.about.splits).map(([value, count]) => ({ value, text: value === "val" ? "Validation" : "Training", count }));
  segments(byId("splits"), "split", parts, split, (value) => openSplit(value).catch(complain));
  state.list = await get(`api/pictures/${split}`);
  arrange();
  survey();
  open(state.order[0]);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (event.key === "Escape") {
    state.selected = null;
    return change("selected");
  }
  if (at.matches("input, select, textarea, [role=listbox]") && !(at.matches("[role=listbox]") && !event.key.startsWith("Arrow"))) return;
  const does = {
    ArrowRight: () => step(1, open), ArrowLeft: () => step(-1, open),
    "]": () => stepLevel(1), "[": () => stepLevel(-1),
    "+": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: fit,
  }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
}

function newSide() {
  const first = state.sides[0];
  const other = state.about.models.length > 1 && first.model !== null ? (first.model + 1) % state.about.models.length : first.model;
  const usual = first.assigner.startsWith("fcos") ? "dsla" : "fcos";
  const assigner = other === first.model && usual in startOf(other).assigners ? usual : startOf(other).assigner;
  return { assigner, settings: {}, model: other, labels: null, word: null, fault: null };
}

async function start() {
  startTheme(() => change("theme"));
  state.about = await get("api/about");
  byId("data-name").textContent = state.about.name;
  const model = state.about.models.length ? 0 : null;
  const first = startOf(model);
  Object.assign(state, { imgsz: first.imgsz, offset: first.offset, threshold: first.threshold });
  state.show.found = model !== null;
  state.sides = [{ assigner: first.assigner, settings: {}, model, labels: null, word: null, fault: null }];
  byId("with-class").append(element("option", { value: "" }, "any"), ...state.about.classes.map((name, label) => element("option", { value: String(label) }, name)));
  startStage();
  startLevels();
  startBoxes();
  startControls({ relabel, reword, survey, newSide });
  startPictures(open);
  byId("previous").addEventListener("click", () => step(-1, open));
  byId("next").addEventListener("click", () => step(1, open));
  byId("sort").addEventListener("input", survey);
  document.addEventListener("keydown", keys);
  onChange((parts) => parts.has("index") || parts.has("list") ? stepsPossible() : null);
  change("sides", "show");
  await openSplit("val" in state.about.splits ? "val" : "train");
}

function stepsPossible() {
  const place = state.order.indexOf(state.index);
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place === state.order.length - 1;
}

start().catch(complain);

// The page: what is on it now, and what its buttons do.

import { Camera } from "./camera.js";
import { Overlay } from "./overlay.js";
import { countClasses, drawRug, listBoxes, listClasses, stepTo, summary } from "./panel.js";
import { detect, drawn, modelFacts, useKey } from "./server.js";

const $ = (id) => document.getElementById(id);
const LOWEST = 0.05; // the server is asked for everything from here on; the slider then filters what is there already

const state = {
  classes: [],
  hidden: new Set(), // labels that are switched off
  picture: null, // the File that is shown
  result: null, // the server's answer for it
  chosen: null, // index of a box in the answer
};
const overlay = new Overlay($("boxes"), $("names"), choose);
const camera = new Camera($("video"));
let asking = null; // aborts the request under way

// ---- showing ----

function threshold() {
  return Number($("threshold").value);
}

function allBoxes() {
  const found = state.result?.pictures[0].detections ?? [];
  return found.map((one, index) => ({ index, label: one.label, name: one.class_name, score: one.score, box: one.box, color: state.classes[one.label]?.color ?? "#e69f00" }));
}

function show() {
  const inClasses = allBoxes().filter((one) => !state.hidden.has(one.label));
  const shown = inClasses.filter((one) => one.score >= threshold());
  if (!shown.some((one) => one.index === state.chosen)) state.chosen = null;
  $("threshold-value").value = threshold().toFixed(2);
  $("threshold").setAttribute("aria-valuetext", `${threshold().toFixed(2)}, ${shown.length} boxes`);
  drawRug(inClasses, threshold(), { min: LOWEST, max: 0.95 });
  countClasses(shown);
  listBoxes(shown, state.chosen, choose);
  const found = state.result?.pictures[0];
  overlay.draw(shown, found ?? { width: 4, height: 3 }, state.chosen);
  if (found) {
    $("status").textContent = summary(shown);
    $("photo").alt = `${state.picture?.name ?? found.name}: ${summary(shown)}`;
    const kept = shown.map((one) => found.detections[one.index]);
    $("json").textContent = written({ ...found, name: state.picture?.name ?? found.name, detections: kept });
  }
}

// JSON with each box in a line of its own.
function written({ detections, ...rest }) {
  const lines = detections.map((one) => `\n  ${JSON.stringify(one)}`);
  return `${JSON.stringify(rest, null, 1).slice(0, -2)},\n "detections": [${lines}\n ]\n}`;
}

function choose(index) {
  state.chosen = index === state.chosen ? null : index;
  show();
}

function tell(trouble) {
  $("trouble").textContent = trouble ?? "";
  $("trouble").hidden = !trouble;
}

function shape(width, height) {
  $("frame").style.setProperty("--ratio", `${width} / ${height}`);
  $("frame").style.setProperty("--wide", width / height);
}

function stage(kind) {
  $("drop").hidden = kind !== "empty";
  $("view").hidden = kind === "empty";
  $("tools").hidden = kind === "empty";
  $("video").hidden = kind !== "camera";
  $("photo").hidden = kind !== "photo";
  $("camera").setAttribute("aria-pressed", kind === "camera");
  $("camera").textContent = kind === "camera" ? "Take this picture" : "Camera";
  $("save").disabled = kind !== "photo";
}

// ---- a picture ----

async function open(file) {
  camera.stop();
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  Object.assign(state, { picture: file, result: null, chosen: null });
  tell(null);
  stage("photo");
  show();
  $("status").textContent = "Looking…";
  $("facts").textContent = file.name;
  const visible = await display(file, signal);
  if (signal.aborted) return;
  $("busy").hidden = false;
  try {
    const result = await detect(file, LOWEST, signal);
    state.result = result;
    const { width, height } = result.pictures[0];
    shape(width, height);
    $("facts").textContent = `${file.name} · ${width}×${height} · ${Math.round(result.milliseconds)} ms`;
    if (!visible) tell("This browser cannot show pictures of this kind; boxes are drawn on an empty ground. Save with boxes shows both.");
    show();
  } catch (error) {
    if (error.name !== "AbortError") refused(error, visible);
  } finally {
    if (!signal.aborted) $("busy").hidden = true;
  }
}

// Whether the browser can show the file; the boxes come either way.
async function display(file, signal) {
  const photo = $("photo");
  if (photo.src) URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(file);
  const fine = await photo.decode().then(() => true, () => false);
  if (signal.aborted) return fine;
  photo.classList.toggle("unseen", !fine);
  if (fine) shape(photo.naturalWidth, photo.naturalHeight);
  return fine;
}

function refused(error, visible = true) {
  if (error.code === "unauthorized") return void askForKey();
  tell(sentence(error.message));
  $("status").textContent = "No result.";
  if (!visible) stage("empty");
}

function sentence(message) {
  const said = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

async function save() {
  $("save").disabled = true;
  try {
    const classes = state.classes.filter(({ label }) => !state.hidden.has(label)).map(({ name }) => name);
    const picture = await drawn(state.picture, threshold(), classes.length === state.classes.length ? [] : classes);
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(picture), download: `${state.picture.name.replace(/\.[^.]*$/, "")}-boxes.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    refused(error);
  } finally {
    $("save").disabled = false;
  }
}

async function copy() {
  const words = $("json").textContent;
  try {
    await navigator.clipboard.writeText(words);
  } catch { // pages of plain http from another machine have no clipboard; a selection can be copied by hand
    getSelection().selectAllChildren($("json"));
    return void ($("copy").textContent = "Selected");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// ---- the camera ----

async function toggleCamera() {
  if (camera.on) return void takePicture();
  asking?.abort();
  tell(null);
  try {
    await camera.start();
  } catch (error) {
    return void tell(error.message);
  }
  Object.assign(state, { picture: null, result: null, chosen: null });
  stage("camera");
  shape($("video").videoWidth, $("video").videoHeight);
  show();
  $("facts").textContent = "camera";
  look();
}

async function takePicture() {
  const frame = await camera.frame();
  if (frame) await open(frame);
}

async function look() {
  let last = performance.now();
  while (camera.on) {
    const frame = document.hidden ? null : await camera.frame();
    if (!frame) {
      await new Promise((done) => setTimeout(done, 200));
      continue;
    }
    asking = new AbortController();
    try {
      const result = await detect(frame, LOWEST, asking.signal);
      if (!camera.on) return;
      state.result = result;
      const now = performance.now();
      $("facts").textContent = `camera · ${result.pictures[0].width}×${result.pictures[0].height} · ${(1000 / (now - last)).toFixed(1)} pictures a second`;
      last = now;
      shape(result.pictures[0].width, result.pictures[0].height);
      show();
    } catch (error) {
      if (error.name === "AbortError") return;
      camera.stop();
      stage("empty");
      refused(error);
    }
  }
}

// ---- the key ----

function askForKey() {
  $("status").textContent = "A key is needed.";
  $("key").value = "";
  $("ask-key").showModal();
}

$("ask-key").addEventListener("close", () => {
  if ($("ask-key").returnValue !== "use" || !$("key").value) return;
  useKey($("key").value);
  begin();
  if (state.picture) open(state.picture);
});

// ---- events ----

const DO = { choose: () => $("file").click(), camera: toggleCamera, save, copy };
document.addEventListener("click", (event) => DO[event.target.closest("[data-do]")?.dataset.do]?.());

$("file").addEventListener("change", () => {
  if ($("file").files[0]) open($("file").files[0]);
  $("file").value = ""; // so that the same file can be chosen again
});
$("threshold").addEventListener("input", show);
$("list").addEventListener("keydown", (event) => {
  const shown = allBoxes().filter((one) => !state.hidden.has(one.label) && one.score >= threshold());
  const next = stepTo(event.key, shown, state.chosen);
  if (next === undefined) return;
  event.preventDefault();
  state.chosen = next;
  show();
});

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  openFirst(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => openFirst(event.clipboardData.files));

function openFirst(files) {
  if (files.length) open(files[0]);
}

// ---- the model ----

async function begin() {
  try {
    const model = await modelFacts();
    state.classes = model.classes;
    $("model").textContent = `${model.name} · ${model.classes.length} ${model.classes.length === 1 ? "class" : "classes"}`;
    document.title = `${model.name} · dsla`;
    $("threshold").value = Math.min(Math.max(model.threshold, LOWEST), 0.95);
    listClasses(state.classes, state.hidden, show);
    show();
  } catch (error) {
    refused(error);
  }
}

stage("empty");
begin();

// What the page shows. Parts change it through `change` and draw what they are about when told.

export const state = {
  about: null,
  split: "val",
  list: null, // names, sizes, boxes, classes of the split, by index
  order: [], // indices of the pictures listed, in their order
  index: -1,
  truth: null,
  picture: null, // the picture and its muted twin, as canvases
  sides: [], // {assigner, settings, model, labels, word, fault}
  compare: false,
  active: 0,
  imgsz: 320,
  offset: 0.5,
  map: "label",
  level: null, // null is all
  lists: "truth",
  selected: null, // {kind: "truth" | "found", number}
  threshold: 0.3,
  show: { truth: true, ignore: true, found: false, removed: false },
  hidden: new Set(), // classes
  survey: null,
  view: { zoom: 1, x: 0.5, y: 0.5 }, // what part of the picture is seen: its centre in shares of the picture
};

const listeners = [];

export const onChange = (listener) => listeners.push(listener);

let waiting = new Set();
let booked = false;

// Tell everybody what changed, once a frame.
export function change(...parts) {
  parts.forEach((part) => waiting.add(part));
  if (booked) return;
  booked = true;
  requestAnimationFrame(() => {
    booked = false;
    const parts = waiting;
    waiting = new Set();
    listeners.forEach((listener) => listener(parts));
  });
}

export const sidesShown = () => (state.compare ? state.sides : state.sides.slice(0, 1));
export const activeSide = () => state.sides[state.compare ? state.active : 0];
export const startOf = (model) => state.about.starts[model === null ? 0 : model + 1];
export const classHidden = (label) => state.hidden.has(label);
export const plural = (number, word) => `${number} ${word}${number === 1 ? "" : word.endsWith("x") ? "es" : "s"}`;
export const levelName = (stride) => `P${Math.log2(stride)}`;

// Points before each level, so that a point's number tells its level and place.
export function starts(sizes) {
  const first = [0];
  sizes.forEach(([h, w], level) => first.push(first[level] + h * w));
  return first;
}

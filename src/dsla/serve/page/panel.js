// What was found, beside the picture: classes to switch on and off, boxes to walk through, scores under the slider.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

export function listClasses(classes, hidden, changed) {
  $("classes").replaceChildren(...classes.map(({ label, name, color }) => {
    const row = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !hidden.has(label) });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(label);
      else hidden.add(label);
      changed();
    });
    row.append(box, swatch(color), text("name", name), text("count", ""));
    row.lastChild.dataset.label = label;
    return row;
  }));
}

export function countClasses(shown) {
  for (const count of $("classes").querySelectorAll(".count")) {
    const found = shown.filter((one) => one.label === Number(count.dataset.label)).length;
    count.textContent = found || "";
  }
}

export function listBoxes(shown, chosen, choose) {
  const list = $("list");
  $("empty").hidden = shown.length > 0;
  list.replaceChildren(...shown.map((one) => {
    const row = document.createElement("li");
    row.id = `box-${one.index}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", one.index === chosen);
    const [x1, y1, x2, y2] = one.box;
    row.append(swatch(one.color), text("name", one.name), text("size", `${Math.round(x2 - x1)}×${Math.round(y2 - y1)}`), text("score", one.score.toFixed(2)));
    row.setAttribute("aria-label", `${one.name}, score ${one.score.toFixed(2)}, ${Math.round(x2 - x1)} by ${Math.round(y2 - y1)} pixels at ${Math.round(x1)}, ${Math.round(y1)}`);
    row.addEventListener("click", () => choose(one.index));
    return row;
  }));
  if (chosen === null) list.removeAttribute("aria-activedescendant");
  else {
    list.setAttribute("aria-activedescendant", `box-${chosen}`);
    $(`box-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }
}

// The box that a key leads to from the chosen one; undefined for keys that mean nothing here.
export function stepTo(key, shown, chosen) {
  const at = shown.findIndex((one) => one.index === chosen);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? shown.length - 1 : at - 1, Home: 0, End: shown.length - 1 }[key];
  if (key === "Escape") return null;
  if (to === undefined || !shown.length) return undefined;
  return shown[Math.min(Math.max(to, 0), shown.length - 1)].index;
}

export function drawRug(boxes, threshold, { min, max }) {
  $("rug").replaceChildren(...boxes.map(({ score, color }) => {
    const line = document.createElementNS(SVG, "line");
    const x = (100 * (Math.min(Math.max(score, min), max) - min)) / (max - min);
    for (const [name, value] of [["x1", x], ["x2", x], ["y1", 0], ["y2", 10]]) line.setAttribute(name, value);
    line.style.stroke = color;
    if (score < threshold) line.classList.add("out");
    return line;
  }));
}

export function summary(shown) {
  if (!shown.length) return "Nothing found at this score.";
  const counts = new Map();
  for (const { name } of shown) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${count} ${name}`);
  return parts.length > 6 ? `${shown.length} boxes of ${parts.length} classes` : parts.join(", ");
}

function text(kind, content) {
  return Object.assign(document.createElement("span"), { className: kind, textContent: content });
}

function swatch(color) {
  const square = text("swatch", "");
  square.style.backgroundColor = color;
  return square;
}

// Boxes over a picture. Edges are vectors whose width does not scale, and names are text: both are crisp on every screen.

const NARROW = 480; // CSS pixels; names with scores would cover the picture of a phone
const NS = "http://www.w3.org/2000/svg";

export class Overlay {
  constructor(svg, names, choose) {
    this.svg = svg;
    this.names = names;
    this.choose = choose;
    this.shown = [];
    this.chosen = null;
    new ResizeObserver(() => this.placeNames()).observe(names);
  }

  // shown: [{ index, label, name, score, box, color }]; size: the picture's own pixels.
  draw(shown, size, chosen) {
    this.shown = shown;
    this.size = size;
    this.chosen = chosen;
    this.svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const bySize = [...shown].sort((a, b) => area(b.box) - area(a.box)); // small ones on top, where a pointer finds them
    const last = bySize.findIndex((one) => one.index === chosen);
    if (last >= 0) bySize.push(...bySize.splice(last, 1));
    this.svg.replaceChildren(...bySize.map((one) => this.#group(one)));
    this.placeNames();
  }

  #group(one) {
    const group = document.createElementNS(NS, "g");
    if (one.index === this.chosen) group.classList.add("chosen");
    for (const kind of ["rim", "edge"]) {
      const rect = document.createElementNS(NS, "rect");
      const [x1, y1, x2, y2] = one.box;
      rect.setAttribute("x", x1);
      rect.setAttribute("y", y1);
      rect.setAttribute("width", Math.max(x2 - x1, 0));
      rect.setAttribute("height", Math.max(y2 - y1, 0));
      rect.classList.add(kind);
      if (kind === "edge") rect.style.stroke = one.color;
      group.append(rect);
    }
    group.lastChild.addEventListener("click", () => this.choose(one.index));
    return group;
  }

  // Best scores first; a name that would cover another one is left out, unless its box is the chosen one.
  placeNames() {
    const { clientWidth: width, clientHeight: height } = this.names;
    if (!this.size || !width) return this.names.replaceChildren();
    const order = [...this.shown].sort((a, b) => (b.index === this.chosen) - (a.index === this.chosen) || b.score - a.score);
    const tags = order.map((one) => tag(one, width >= NARROW));
    this.names.replaceChildren(...tags);
    const sizes = tags.map((each) => ({ w: each.offsetWidth, h: each.offsetHeight })); // read all, then write all
    const taken = [];
    order.forEach((one, i) => {
      const { w, h } = sizes[i];
      const [x1, y1, x2, y2] = one.box.map((value, side) => (side % 2 ? (value / this.size.height) * height : (value / this.size.width) * width));
      const places = [[x1 - 1, y1 - h - 1], [x2 - w + 1, y1 - h - 1], [x1 - 1, y2 + 1], [x1 + 1, y1 + 1], [x2 - w + 1, y2 + 1], [x1 + 1, y2 - h - 1]];
      const free = places.map(([x, y]) => [Math.min(Math.max(x, 0), Math.max(width - w, 0)), y])
        .find(([x, y]) => y >= 0 && y + h <= height && taken.every((other) => apart([x, y, x + w, y + h], other)));
      if (!free && one.index !== this.chosen) return void (tags[i].hidden = true);
      const [x, y] = free ?? [Math.min(Math.max(x1, 0), Math.max(width - w, 0)), Math.min(Math.max(y1, 0), Math.max(height - h, 0))];
      taken.push([x, y, x + w, y + h]);
      tags[i].style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    });
  }
}

function tag(one, withScore) {
  const span = document.createElement("span");
  span.textContent = withScore ? `${one.name} ${one.score.toFixed(2)}` : one.name; // the list has the scores
  span.style.backgroundColor = one.color;
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(one.color.slice(start, start + 2), 16));
  if (0.299 * red + 0.587 * green + 0.114 * blue <= 115) span.classList.add("light");
  return span;
}

const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];

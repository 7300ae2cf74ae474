// Making elements.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

// A row of radio buttons that looks like one control.
export function segments(holder, name, choices, chosen, picked) {
  const key = JSON.stringify(choices);
  if (holder.dataset.choices === key) {
    holder.querySelectorAll("input").forEach((input, place) => { input.checked = choices[place].value === chosen; });
    return;
  }
  holder.dataset.choices = key;
  const legend = holder.querySelector("legend");
  const had = document.activeElement && holder.contains(document.activeElement);
  holder.replaceChildren(legend);
  for (const { value, text, count, disabled, title } of choices) {
    const input = element("input", { type: "radio", name, value: String(value), checked: value === chosen, disabled: !!disabled });
    input.addEventListener("change", () => picked(value));
    const label = element("label", { title }, input, element("span", {}, text));
    if (count !== undefined) label.append(element("small", {}, String(count)));
    holder.append(label);
    if (had && value === chosen) input.focus();
  }
}

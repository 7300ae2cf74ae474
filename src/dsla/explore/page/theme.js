// Light and dark: the system's choice until a person makes one, which is remembered.

import { byId } from "./element.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("dsla-theme");
  } catch {
    return null;
  }
}

export const isDark = () => document.documentElement.dataset.theme === "dark";

export function startTheme(changed) {
  const button = byId("theme");
  const apply = () => {
    const dark = (chosen() ?? (system.matches ? "dark" : "light")) === "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Change to the light theme" : "Change to the dark theme");
    changed();
  };
  button.addEventListener("click", () => {
    try {
      localStorage.setItem("dsla-theme", isDark() ? "light" : "dark");
    } catch {
      document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      return changed();
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

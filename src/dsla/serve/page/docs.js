// Fills in what depends on this server: its address, its limits, its errors.

import { modelFacts } from "./server.js";

for (const place of document.querySelectorAll(".origin")) place.textContent = location.origin;

const rows = (pairs) => pairs.map(([name, meaning]) => {
  const row = document.createElement("tr");
  row.append(...[name, meaning].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  return row;
});

const openapi = await (await fetch("/openapi.json")).json();
const answers = Object.entries(openapi.paths["/v1/detect"].post.responses).filter(([status]) => status >= "400");
document.getElementById("errors").append(...rows(answers.map(([status, { description }]) => [status, description.replaceAll("`", "")])));

const NAMES = { body_bytes: "bytes of a body", pixels: "pixels of a picture", pictures: "pictures in a request", queue: "pictures that may wait", body_seconds: "seconds for a body to arrive", seconds: "seconds for the answer" };
try {
  const { limits } = await modelFacts();
  document.getElementById("limits").append(...rows(Object.entries(NAMES).map(([key, meaning]) => [limits[key].toLocaleString("en"), meaning])));
} catch {
  document.getElementById("limits").append(...rows([["", "told to those who have a key"]]));
}

// Talking to the server: one place that knows paths, keys and errors.

let key = sessionStorage.getItem("dsla-key") ?? "";

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function useKey(text) {
  key = text;
  sessionStorage.setItem("dsla-key", text);
}

export async function modelFacts() {
  return (await ask("/v1/model")).json();
}

// Boxes of a picture from the given score on. A busy server is asked again, a few times.
export async function detect(picture, threshold, signal) {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask(`/v1/detect?threshold=${threshold}`, sent(picture, signal));
      return await answer.json();
    } catch (error) {
      if (error.code !== "busy" || tries === 3) throw error;
      await new Promise((done) => setTimeout(done, 400 * 2 ** tries));
    }
  }
}

// The picture with its boxes drawn, as the server draws them.
export async function drawn(picture, threshold, classes) {
  const query = new URLSearchParams([["answer", "png"], ["threshold", threshold], ...classes.map((name) => ["class", name])]);
  return (await ask(`/v1/detect?${query}`, sent(picture))).blob();
}

function sent(picture, signal) {
  // A form would do too; raw bytes spare a boundary. The kind is the server's to find out.
  return { method: "POST", body: picture, headers: { "Content-Type": "application/octet-stream" }, signal };
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { "X-API-Key": key } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", "The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, told.code ?? "unknown", told.message ?? `The server answered ${answer.status}.`);
}

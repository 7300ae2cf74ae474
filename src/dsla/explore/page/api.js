// Questions to the server that sent this page, and nobody else.

export class Refusal extends Error {}

async function answer(response) {
  const told = await response.json().catch(() => ({ error: "The server's answer could not be read." }));
  if (!response.ok) throw new Refusal(told.error ?? "The server refused without a reason.");
  return told;
}

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Refusal("The server does not answer; start dsla explore again and reload this page.");
  }
  return answer(response);
}

export const get = (address) => send(address);

export const ask = (address, question) =>
  send(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(question) });

export const pictureAddress = (about, split, index, kind) =>
  `api/pictures/${split}/${index}/${kind}.jpg?session=${about.token}`;

// One question at a time. While it is out, only the latest of the next ones is remembered: a slider that is dragged asks
// as often as the server can answer, and the last position is always answered.
export class Latest {
  #busy = false;
  #next = null;

  run(work) {
    this.#next = work;
    if (!this.#busy) this.#go();
  }

  async #go() {
    this.#busy = true;
    while (this.#next) {
      const work = this.#next;
      this.#next = null;
      await work(() => this.#next === null);
    }
    this.#busy = false;
  }
}

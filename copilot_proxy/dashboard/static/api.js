// Communicates with the server: requests, the live stream, signing in.

const EVENTS = ["server", "overview", "rows", "running"];

export class Refused extends Error {
  constructor(status, body) {
    const error = body?.error ?? {};
    super(error.message ?? `The server responded with status ${status}.`);
    this.status = status;
  }
}

/** Returns the JSON at a path under /dashboard/; `query` is an object. Throws Refused. */
export async function get(name, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return read(await fetch(`/dashboard/${name}${search && `?${search}`}`));
}

/** Sends a change; throws Refused. */
export async function post(name, body) {
  const headers = { "content-type": "application/json", "x-copilot-proxy-page": "1" };
  return read(await fetch(`/dashboard/${name}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function read(response) {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

/** The live stream; it is closed while the page is hidden. */
export class Live {
  #source = null;
  #handlers;
  #onState;
  #enabled = false;

  /** `handlers` receive the data of events, and `onState` "live", "connecting" or "closed". */
  constructor(handlers, onState) {
    this.#handlers = handlers;
    this.#onState = onState;
    document.addEventListener("visibilitychange", () => this.#update());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", () => this.#update());
  }

  start() {
    this.#enabled = true;
    this.#update();
  }

  stop() {
    this.#enabled = false;
    this.#close();
  }

  #update() {
    if (!this.#enabled || document.hidden) this.#close();
    else if (this.#source === null) this.#open();
  }

  #open() {
    const source = new EventSource("/dashboard/events");
    this.#source = source;
    this.#onState("connecting");
    source.addEventListener("open", () => this.#onState("live"));
    source.addEventListener("error", () => {
      const closed = source.readyState === EventSource.CLOSED;
      if (closed) this.#close();
      this.#onState(closed ? "closed" : "connecting");
    });
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => this.#handlers[name](JSON.parse(event.data)));
    }
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }
}

// Lets pi-ai ask Copilot, for many requests at once: JSON lines come in on stdin, others go out on
// stdout. Nothing is kept; tokens come with each request, and everything ends with stdin.
//
// In:  {ask, url, token, headers, request, credit}  {more, credit}  {drop}  {ping}
// Out: {ready}  {pong}  {id, head: {status, headers}}  {id, event}  {id, end}
//      {id, refused: {status, headers, body}}  {id, whole: {body}}  {id, unreachable: {code, text}}
//
// node pi_ai_sidecar.mjs FOLDER_OF_PACKAGES MS_TO_CONNECT MS_OF_SILENCE

import { AsyncLocalStorage } from "node:async_hooks";
import { pathToFileURL } from "node:url";

const [folder, connectTimeout, readTimeout] = process.argv.slice(2);
const LONGEST_LINE = 8 * 1024 * 1024; // characters; Python gives up on lines of 32 MiB
const LONGEST_ERROR = 256 * 1024;

// Libraries must not speak between the lines, and what they say may hold a conversation: it goes
// nowhere. Of an error only its name and its place are told.
for (const name of ["log", "info", "debug", "warn", "error", "trace"]) console[name] = () => {};
function complain(what, error) {
  const places = String(error?.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  process.stderr.write(`${what} ${error?.name ?? typeof error}${places.slice(0, 5).join("")}\n`);
}
process.on("warning", () => {});
process.on("unhandledRejection", (error) => complain("unhandled:", error));
process.on("uncaughtException", (error) => {
  complain("uncaught:", error);
  process.exit(1);
});
// A Ctrl+C is meant for the server, which lets open answers end.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const asked = new Map();
const current = new AsyncLocalStorage();

// --- out ---

let pending = "";
let full = null; // while Python does not read: resolves when it has

function say(line) {
  if (!pending) setImmediate(flush);
  pending += line + "\n";
}

// Half a character, which stands as an escape, is no text: Python would not understand the line.
const HALF = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;
const lineOf = (message) => JSON.stringify(message).replace(HALF, "$1\ufffd");

function flush() {
  const text = pending;
  pending = "";
  if (text && !process.stdout.write(text) && !full) {
    full = new Promise((resolve) => process.stdout.once("drain", resolve)).then(() => (full = null));
  }
}

// --- one request ---

class Asked {
  constructor({ ask, url, token, headers, request, credit }) {
    Object.assign(this, { id: ask, url, token, headers, request, credit });
    this.abort = new AbortController();
    this.told = false; // what became of the call: accepted, refused or unreachable
    this.finished = false; // whether Copilot said that the answer is complete
    this.waiting = [];
    this.halves = new Map();
  }

  say(message) {
    if (asked.get(this.id) === this) say(lineOf({ id: this.id, ...message }));
  }

  tell(outcome) {
    if (!this.told) this.say(outcome);
    this.told = true;
  }

  // Until the client has read enough for one more event.
  async room() {
    while (this.credit <= 0 && !this.abort.signal.aborted) {
      await new Promise((resolve) => this.waiting.push(resolve));
    }
    while (full) await full;
  }

  add(credit) {
    this.credit += credit;
    this.wake();
  }

  drop() {
    asked.delete(this.id);
    this.abort.abort();
    this.wake();
  }

  wake() {
    for (const go of this.waiting.splice(0)) go();
  }

  async run() {
    try {
      const { pi, context, options, payload } = this.request;
      const stream = piAi.streamSimple({ ...pi, baseUrl: this.url }, context, {
        ...options,
        apiKey: this.token,
        headers: this.headers,
        signal: this.abort.signal,
        maxRetries: 0, // what may be sent twice is decided in Python
        timeoutMs: 2 * readTimeout, // ours comes first, and says more
        onPayload: (body) => ({ ...body, ...payload }),
      });
      for await (const event of stream) {
        await this.room();
        if (this.abort.signal.aborted) return;
        this.pass(event);
      }
    } catch (error) {
      this.tell({ unreachable: { code: "PI_AI", text: String(error?.message ?? error) } });
    } finally {
      this.say({ end: true });
      asked.delete(this.id);
    }
  }

  pass(event) {
    this.credit -= 1;
    const told = slim(event);
    if (event.type === "done") told.finished = this.finished;
    if (event.type === "error") {
      if (!this.told) {
        // pi-ai failed before it asked, or could not read what came.
        this.tell({ unreachable: { code: "PI_AI", text: event.error?.errorMessage ?? "" } });
        return;
      }
      told.cut = this.cut === "cut";
      told.silent = this.cut === "silent";
    }
    if (typeof told.delta === "string") told.delta = this.whole(event.contentIndex, told.delta);
    const line = lineOf({ id: this.id, event: told });
    if (line.length <= LONGEST_LINE) {
      if (asked.get(this.id) === this) say(line);
      return;
    }
    this.say({ event: { type: "error", error: { errorMessage: "An event is too long." } } });
    this.drop();
  }

  // Some models cut a character in two: its first half waits for the second.
  whole(index, delta) {
    const text = (this.halves.get(index) ?? "") + delta;
    const last = text.charCodeAt(text.length - 1);
    const cut = last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
    this.halves.set(index, text.slice(cut));
    return text.slice(0, cut);
  }
}

// An event without the whole answer so far, which pi-ai repeats in each.
function slim({ partial, content, message, error, ...event }) {
  if (event.type === "start") event.api = partial.api;
  if (event.type.endsWith("_start") || event.type === "thinking_end") {
    event.block = { ...partial.content[event.contentIndex] };
    delete event.block.thinking;
  }
  if (message) event.message = { ...message, content: undefined };
  if (error) event.error = { ...error, content: undefined };
  return event;
}

// --- the way to Copilot ---

// Takes the place of the fetch that pi-ai's libraries use, to see what they keep to themselves: the
// status, the headers and the body of a refusal. Lets no token go elsewhere.
async function ask(undici, dispatcher, url, init) {
  const one = current.getStore();
  if (!one || new URL(url).origin !== new URL(one.url).origin) {
    throw new Error("Only the address of Copilot may be asked.");
  }
  let response;
  try {
    response = await undici.fetch(url, { ...init, dispatcher, redirect: "manual" });
  } catch (error) {
    const cause = error?.cause ?? error;
    one.tell({ unreachable: { code: cause?.code ?? cause?.name ?? "", text: cause?.message ?? "" } });
    throw error;
  }
  const headers = Object.fromEntries(response.headers);
  if (!response.ok) {
    const body = await response.text().catch(() => "");
    one.tell({ refused: { status: response.status, headers, body: body.slice(0, LONGEST_ERROR) } });
    return new Response(body, { status: Math.max(response.status, 400), headers: {} });
  }
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const body = await response.text().catch(() => "");
    one.tell({ whole: { body: body.slice(0, LONGEST_ERROR) } });
    return new Response(body, { status: 502, headers: {} });
  }
  one.tell({ head: { status: response.status, headers } });
  return new Response(watched(one, response.body), { status: response.status, headers });
}

// What stands in an answer that is complete, in the words of each API.
const FINISH = /"finish_reason": ?"|"response\.(completed|incomplete|failed)"|"message_stop"/;

// The body, read no faster than the client reads its events; notes whether it is complete, which
// pi-ai does not look at, and how it broke.
function watched(one, body) {
  const reader = body.getReader();
  let tail = "";
  return new ReadableStream(
    {
      async pull(controller) {
        await one.room();
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else {
            const text = tail + Buffer.from(value.buffer, value.byteOffset, value.length).latin1Slice();
            one.finished ||= FINISH.test(text);
            tail = text.slice(-64);
            controller.enqueue(value);
          }
        } catch (error) {
          const code = error?.code ?? error?.cause?.code;
          one.cut = code === "UND_ERR_BODY_TIMEOUT" ? "silent" : "cut";
          controller.error(error);
        }
      },
      cancel: (reason) => reader.cancel(reason).catch(() => {}),
    },
    { highWaterMark: 0 },
  );
}

// --- in ---

function take({ ask, more, drop, ping, ...rest }) {
  if (ask !== undefined) {
    const one = new Asked({ ask, ...rest });
    asked.set(ask, one);
    current.run(one, () => one.run());
  } else if (more !== undefined) asked.get(more)?.add(rest.credit);
  else if (drop !== undefined) asked.get(drop)?.drop();
  else if (ping !== undefined) say(JSON.stringify({ pong: ping }));
}

// Only "\n" ends a line: JSON may hold every other separator.
async function listen() {
  let parts = [];
  for await (const chunk of process.stdin) {
    let from = 0;
    for (let to; (to = chunk.indexOf(10, from)) >= 0; from = to + 1) {
      parts.push(chunk.subarray(from, to));
      take(JSON.parse(Buffer.concat(parts).toString("utf8")));
      parts = [];
    }
    parts.push(chunk.subarray(from));
  }
  process.exit(0);
}

const packages = (name) => import(pathToFileURL(`${folder}/node_modules/${name}`).href);
const undici = await packages("undici/index.js");
const settings = {
  connect: { timeout: Number(connectTimeout) },
  headersTimeout: Number(readTimeout),
  bodyTimeout: Number(readTimeout),
};
// What runs on this machine is never behind a proxy, whatever the variable forgets.
settings.noProxy = [process.env.no_proxy ?? process.env.NO_PROXY, "localhost", "127.0.0.1", "::1"]
  .filter(Boolean)
  .join(",");
const proxied = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].some((n) => process.env[n]);
const dispatcher = new undici[proxied ? "EnvHttpProxyAgent" : "Agent"](settings);
globalThis.fetch = (url, init) => ask(undici.default ?? undici, dispatcher, url, init);
const piAi = await packages("@mariozechner/pi-ai/dist/index.js");
say(JSON.stringify({ ready: true }));
await listen();

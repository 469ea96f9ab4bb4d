// Lets pi-ai ask Copilot, for many requests at once: JSON lines come in on stdin, others go out on
// stdout. Nothing is kept; tokens come with each request, and everything ends with stdin.
//
// In:  {ask, url, proxy, token, headers, request, credit}  {more, credit}  {drop}  {ping}
// Out: {ready} or {unfit}  {pong}  {id, head: {status, headers}}  {id, event}  {id, end}
//      {id, refused: {status, headers, body}}  {id, whole: {headers, body}}
//      {id, unreachable: {code, text}}
//
// node sidecar.mjs FOLDER_OF_PACKAGES MS_TO_CONNECT MS_OF_SILENCE [MS_OF_PATIENCE]

import { pathToFileURL } from "node:url";

import { ASKED, Ear, fetchWith } from "./fetch.mjs";

const [folder, connectTimeout, readTimeout, patience = 3000] = process.argv.slice(2);
const LONGEST_LINE = 8 * 1024 * 1024; // characters; Python gives up on lines of 32 MiB

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
  constructor({ ask, url, proxy, token, headers, request, credit }) {
    Object.assign(this, { id: ask, url, proxy, token, headers, request, credit });
    this.abort = new AbortController();
    this.told = false; // what became of the call: accepted, refused or unreachable
    this.ear = new Ear();
    this.waiting = [];
    this.begun = new Set(); // the pieces of content of which something was told
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
      const stream = ASK[pi.api]({ ...pi, baseUrl: this.url }, context, {
        ...options,
        apiKey: this.token,
        headers: { ...this.headers, [ASKED]: String(this.id) },
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
    if (event.type === "error" && !this.told) {
      // pi-ai failed before it asked, or could not read what came.
      this.tell({ unreachable: { code: "PI_AI", text: event.error?.errorMessage ?? "" } });
      return;
    }
    const told = slim(event);
    if (event.type === "done" || event.type === "error") {
      Object.assign(told, { finished: this.ear.finished, last: this.ear.last, broke: this.broke });
    }
    if (typeof told.delta === "string") {
      this.begun.add(event.contentIndex);
      told.delta = this.whole(event.contentIndex, told.delta);
    }
    // Some models say a text in the end only, and pi-ai then gives no delta of it.
    if (!this.begun.has(event.contentIndex)) told.content = event.content;
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
function slim({ type, contentIndex, delta, toolCall, partial, message, error }) {
  const told = { type, contentIndex, delta };
  if (type === "start") told.api = partial.api;
  if (type === "toolcall_start" || type === "thinking_end") {
    const { id, name, thinkingSignature, redacted } = partial.content[contentIndex];
    told.block = { id, name, thinkingSignature, redacted };
  }
  if (toolCall) told.toolCall = { arguments: toolCall.arguments };
  if (message) told.message = { usage: message.usage };
  if (error) told.error = { usage: error.usage, errorMessage: error.errorMessage };
  if (message) told.reason = message.stopReason;
  return told;
}

// --- in ---

function take({ ask, more, drop, ping, ...rest }) {
  if (ask !== undefined) {
    const one = new Asked({ ask, ...rest });
    asked.set(ask, one);
    one.run();
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
const providers = (name) => packages(`@mariozechner/pi-ai/dist/providers/${name}.js`);
const timeouts = {
  connect: Number(connectTimeout),
  silence: Number(readTimeout),
  patience: Number(patience),
};
const ASK = {};
try {
  const undici = (await packages("undici/index.js")).default;
  globalThis.fetch = fetchWith(undici, timeouts, (id) => asked.get(Number(id)));
  // Not by way of pi-ai's index: it loads a third of a second longer, and each event takes a detour.
  ASK["anthropic-messages"] = (await providers("anthropic")).streamSimpleAnthropic;
  ASK["openai-completions"] = (await providers("openai-completions")).streamSimpleOpenAICompletions;
  ASK["openai-responses"] = (await providers("openai-responses")).streamSimpleOpenAIResponses;
  for (const [api, stream] of Object.entries(ASK)) if (!stream) throw new TypeError(api);
} catch (error) {
  // Files are missing or damaged.
  complain("not loaded:", error);
  process.stdout.write(JSON.stringify({ unfit: true }) + "\n", () => process.exit(1));
  await new Promise(() => {});
}
say(JSON.stringify({ ready: true }));
await listen();

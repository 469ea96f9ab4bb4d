// Sends concurrent requests to Copilot with pi-ai. Reads JSON lines from stdin and writes JSON lines
// to stdout. Stores nothing: each request has its token. Exits when stdin is closed.
//
// In:  {ask, url, proxy, token, headers, request, window}  start the request with the id `ask`
//      {more, window}  enlarge the window of the request `more`: the number of events it may send
//      {drop}  cancel the request `drop`
//      {ping}
// Out: {ready}, or {damaged} if files are missing or damaged
//      {pong}
//      for the request `id`, first one of:
//      {id, head: {status, headers}}  a stream, followed by {id, event} for each event of pi-ai
//      {id, whole: {headers, body}}  a complete response, although a stream was requested
//      {id, refused: {status, headers, body}}  an error response
//      {id, unreachable: {code, text}}  no response
//      and at the end {id, end}
//
// node sidecar.mjs PACKAGE_FOLDER CONNECT_TIMEOUT_MS READ_TIMEOUT_MS [END_TIMEOUT_MS]

import { pathToFileURL } from "node:url";

import { createFetch, StreamMonitor } from "./fetch.mjs";

const [folder, connectTimeout, readTimeout, endTimeout = 3000] = process.argv.slice(2);
const MAX_LINE = 8 * 1024 * 1024; // characters; Python accepts lines of up to 32 MiB

// The output of libraries is discarded: it must not appear between the lines, and may contain a
// conversation. For an error, only the name and the stack are written.
for (const name of ["log", "info", "debug", "warn", "error", "trace"]) console[name] = () => {};
function logError(prefix, error) {
  const stack = String(error?.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  process.stderr.write(`${prefix} ${error?.name ?? typeof error}${stack.slice(0, 5).join("")}\n`);
}
process.on("warning", () => {});
process.on("unhandledRejection", (error) => logError("unhandled:", error));
process.on("uncaughtException", (error) => {
  logError("uncaught:", error);
  process.exit(1);
});
// Ignore signals: the server handles them, and waits for open requests.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

const requests = new Map();

// --- Output ---

let pending = "";
let drained = null; // a promise while the pipe is full

function send(line) {
  if (!pending) setImmediate(flush);
  pending += line + "\n";
}

// Unpaired surrogates, which JSON.stringify escapes, are replaced: Python could not decode the line.
const SURROGATE = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;
const encode = (message) => JSON.stringify(message).replace(SURROGATE, "$1\ufffd");

function flush() {
  const text = pending;
  pending = "";
  if (text && !process.stdout.write(text) && !drained) {
    const drain = new Promise((resolve) => process.stdout.once("drain", resolve));
    drained = drain.then(() => (drained = null));
  }
}

// --- Requests ---

class SidecarRequest {
  constructor({ ask, url, proxy, token, headers, request, window }) {
    Object.assign(this, { id: ask, url, proxy, token, headers, request, window });
    this.abort = new AbortController();
    this.reported = false; // whether the outcome was reported: head, whole, refused or unreachable
    this.monitor = new StreamMonitor();
    this.waiting = [];
    this.started = new Set(); // the indexes of content for which a delta was sent
    this.surrogates = new Map();
    this.unread = {}; // fields that pi-ai does not read or report, by Copilot's names
    this.transformations = undefined; // the parts of the conversation that Claude's API says it removed
  }

  send(message) {
    if (requests.get(this.id) === this) send(encode({ id: this.id, ...message }));
  }

  // Only the first outcome is reported.
  report(outcome) {
    if (!this.reported) this.send(outcome);
    this.reported = true;
  }

  // Waits until the window allows one more event, and the pipe is not full.
  async waitForWindow() {
    while (this.window <= 0 && !this.abort.signal.aborted) {
      await new Promise((resolve) => this.waiting.push(resolve));
    }
    while (drained) await drained;
  }

  enlargeWindow(count) {
    this.window += count;
    this.wake();
  }

  drop() {
    requests.delete(this.id);
    this.abort.abort();
    this.wake();
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  async run() {
    try {
      const { pi, context, options, payload, opaque } = this.request;
      const stream = STREAMS[pi.api]({ ...pi, baseUrl: this.url }, context, {
        ...options,
        apiKey: this.token,
        headers: this.headers,
        fetch: (url, init) => fetchFor(this, url, init),
        signal: this.abort.signal,
        maxRetries: 0, // Python decides about retries
        timeoutMs: 2 * readTimeout, // our own timeout is shorter, and has a better message
        onPayload: (body) => addOpaque({ ...body, ...payload }, opaque),
        onProviderStreamEvent: this.readers[pi.api],
      });
      for await (const event of stream) {
        await this.waitForWindow();
        if (this.abort.signal.aborted) return;
        this.forward(event);
      }
    } catch (error) {
      this.report({ unreachable: { code: "PI_AI", text: String(error?.message ?? error) } });
    } finally {
      this.send({ end: true });
      requests.delete(this.id);
    }
  }

  forward(event) {
    this.window -= 1;
    if (event.type === "error" && !this.reported) {
      // pi-ai failed before it sent the request, or could not parse the response.
      this.report({ unreachable: { code: "PI_AI", text: event.error?.errorMessage ?? "" } });
      return;
    }
    const compact = compactEvent(event);
    if (event.type === "done" || event.type === "error") {
      const { finished, complete, last } = this.monitor;
      Object.assign(compact, { finished: finished || complete, last, broke: this.broke, unread: this.unread });
    }
    if (typeof compact.delta === "string") {
      this.started.add(event.contentIndex);
      compact.delta = this.wholeCharacters(event.contentIndex, compact.delta);
    }
    if (this.transformations) {
      compact.input_transformations = this.transformations;
      this.transformations = null;
    }
    // Some models send text only at the end, in which case pi-ai has no delta for it.
    if (!this.started.has(event.contentIndex)) compact.content = event.content;
    const line = encode({ id: this.id, event: compact });
    if (line.length <= MAX_LINE) {
      if (requests.get(this.id) === this) send(line);
      return;
    }
    this.send({ event: { type: "error", error: { errorMessage: "An event is too long." } } });
    this.drop();
  }

  // By API: read from Copilot's events the fields that pi-ai does not report.
  readers = {
    "openai-completions": (chunk) => {
      this.keepCharge(chunk);
      // Gemini sends zeros until the end, so zeros must not replace earlier counts.
      if (chunk?.usage?.total_tokens) this.unread.usage = chunk.usage;
      for (const choice of Array.isArray(chunk?.choices) ? chunk.choices : []) {
        for (const name of ["reasoning_opaque", "refusal"]) {
          const piece = choice?.delta?.[name];
          if (typeof piece === "string") this.unread[name] = (this.unread[name] ?? "") + piece;
        }
      }
    },
    "openai-responses": (event) => this.keepCharge(event),
    "anthropic-messages": (event) => {
      this.keepCharge(event);
      this.transformations ??= event?.message?.input_transformations ?? event?.input_transformations;
    },
  };

  keepCharge(event) {
    const charge = event?.copilot_usage ?? event?.response?.copilot_usage;
    if (charge) this.unread.copilot_usage = charge;
  }

  // Some models split a surrogate pair: the first half is held back until the second arrives.
  wholeCharacters(index, delta) {
    const text = (this.surrogates.get(index) ?? "") + delta;
    const last = text.charCodeAt(text.length - 1);
    const end = last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
    this.surrogates.set(index, text.slice(end));
    return text.slice(0, end);
  }
}

// Adds the encrypted reasoning to the messages that it belongs to. `opaque` contains it under the id of
// the message's first tool call; Gemini requires it for messages with tool calls.
function addOpaque(body, opaque) {
  for (const message of opaque ? body.messages : []) {
    const value = opaque[message.tool_calls?.[0]?.id];
    if (typeof value === "string") message.reasoning_opaque = value;
  }
  return body;
}

// An event without the complete answer so far, which pi-ai repeats in each event.
function compactEvent({ type, contentIndex, delta, toolCall, partial, message, error }) {
  const compact = { type, contentIndex, delta };
  if (type === "start") compact.api = partial.api;
  if (type === "toolcall_start" || type === "thinking_end") {
    const { id, name, thinkingSignature, redacted } = partial.content[contentIndex];
    compact.block = { id, name, thinkingSignature, redacted };
  }
  if (toolCall) compact.toolCall = { arguments: toolCall.arguments };
  if (message) compact.message = { usage: message.usage };
  if (error) {
    const { usage, errorMessage, rawStopReason } = error;
    compact.error = { usage, errorMessage, rawStopReason };
  }
  if (message) compact.reason = message.stopReason;
  return compact;
}

// --- Input ---

function handle({ ask, more, drop, ping, ...rest }) {
  if (ask !== undefined) {
    const request = new SidecarRequest({ ask, ...rest });
    requests.set(ask, request);
    request.run();
  } else if (more !== undefined) requests.get(more)?.enlargeWindow(rest.window);
  else if (drop !== undefined) requests.get(drop)?.drop();
  else if (ping !== undefined) send(JSON.stringify({ pong: ping }));
}

// Only "\n" ends a line: JSON may contain all other line separators.
async function listen() {
  let parts = [];
  for await (const chunk of process.stdin) {
    let from = 0;
    for (let to; (to = chunk.indexOf(10, from)) >= 0; from = to + 1) {
      parts.push(chunk.subarray(from, to));
      handle(JSON.parse(Buffer.concat(parts).toString("utf8")));
      parts = [];
    }
    parts.push(chunk.subarray(from));
  }
  process.exit(0);
}

const packages = (name) => import(pathToFileURL(`${folder}/node_modules/${name}`).href);
const timeouts = {
  connect: Number(connectTimeout),
  read: Number(readTimeout),
  end: Number(endTimeout),
};
const STREAMS = {};
let fetchFor;
// pi-ai and its libraries must only send requests with the function they are given.
globalThis.fetch = () => Promise.reject(new Error("Requests may only be sent to Copilot."));
try {
  fetchFor = createFetch((await packages("undici/index.js")).default, timeouts);
  // Not from pi-ai's index, which loads more slowly and adds a step for each event.
  for (const api of ["anthropic-messages", "openai-completions", "openai-responses"]) {
    const { streamSimple } = await packages(`@earendil-works/pi-ai/dist/api/${api}.js`);
    if (!streamSimple) throw new TypeError(api);
    STREAMS[api] = streamSimple;
  }
} catch (error) {
  // Files are missing or damaged.
  logError("not loaded:", error);
  process.stdout.write(JSON.stringify({ damaged: true }) + "\n", () => process.exit(1));
  await new Promise(() => {});
}
send(JSON.stringify({ ready: true }));
await listen();

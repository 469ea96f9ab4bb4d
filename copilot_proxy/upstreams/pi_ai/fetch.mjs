// The fetch function for pi-ai's libraries. It reports what they hide: the status, headers and body of
// an error response, and how a response ended. It sends tokens only to Copilot, follows no redirects,
// never retries (the built-in fetch retries after a 421), and reads no faster than the client.

import { pipeline } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

const MAX_SIZE = 8 * 1024 * 1024; // bytes of a complete response, or of a line of a stream
const MAX_ERROR_BODY = 256 * 1024; // bytes
const DRAIN_TIMEOUT = 300; // ms for reading past the last event, so that the connection can be reused
const KEEP_ALIVE = 30_000; // ms for which an idle connection is kept open

// Returns the fetch function, whose first argument is the sidecar's request that it is called for.
// `timeouts` are in ms: `connect`, `read`, and the shorter `end`, for an error body and for the end
// of a response.
export function createFetch(undici, timeouts) {
  const dispatchers = new Map(); // connection pools by the URL of their proxy
  const settings = {
    headersTimeout: timeouts.read,
    bodyTimeout: timeouts.read,
    keepAliveTimeout: KEEP_ALIVE,
  };

  function createDispatcher(proxy) {
    const connect = { timeout: timeouts.connect };
    if (!proxy) return new undici.Agent({ ...settings, connect });
    return new undici.ProxyAgent({ ...settings, uri: proxy, requestTls: connect, proxyTls: connect });
  }

  return async function fetch(request, url, { method, headers, body, signal }) {
    if (new URL(url).origin !== new URL(request.url).origin) {
      throw new Error("Requests may only be sent to Copilot.");
    }
    try {
      const { proxy } = request;
      if (!dispatchers.has(proxy)) dispatchers.set(proxy, createDispatcher(proxy));
      const response = await undici.request(url, {
        method,
        headers: Object.fromEntries(new Headers(headers)),
        body,
        signal,
        dispatcher: dispatchers.get(proxy),
      });
      const { statusCode, headers: received } = response;
      return await handle(request, statusCode, asText(received), decompress(response), timeouts.end);
    } catch (error) {
      const code = error?.code ?? error?.name ?? "";
      request.report({ unreachable: { code, text: error?.message ?? "" } });
      throw error;
    }
  };
}

// Reports the outcome, and returns the Response for pi-ai's library.
async function handle(request, status, headers, body, endTimeout) {
  if (status < 200 || status > 299) {
    const timer = setTimeout(() => body.destroy(), endTimeout);
    const text = await readText(body, MAX_ERROR_BODY).finally(() => clearTimeout(timer));
    request.report({ refused: { status, headers, body: text } });
    return new Response(null, { status: Math.max(status, 400) });
  }
  const type = (headers["content-type"] ?? "").toLowerCase();
  if (!type.startsWith("text/event-stream")) {
    request.report({ whole: { headers, body: await readText(body, MAX_SIZE, true) } });
    return new Response(null, { status: 502 });
  }
  request.report({ head: { status, headers } });
  const stream = monitored(request, body, endTimeout);
  return new Response(stream, { status, headers: { "content-type": type } });
}

const asText = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));

function decompress({ headers, body }) {
  const flush = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
  const brotli = { flush: constants.BROTLI_OPERATION_FLUSH };
  switch (String(headers["content-encoding"] ?? "").toLowerCase()) {
    case "gzip":
      return pipeline(body, createGunzip(flush), () => {});
    case "deflate":
      return pipeline(body, createInflate(flush), () => {});
    case "br":
      return pipeline(body, createBrotliDecompress(brotli), () => {});
  }
  return body;
}

// Reads the first `limit` bytes of a body. If it breaks off, returns what was read, or throws if `entire`.
async function readText(body, limit, entire = false) {
  const chunks = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) break;
    }
  } catch (error) {
    if (entire) throw error;
  }
  return Buffer.concat(chunks).subarray(0, limit).toString();
}

// The body as a stream that is read no faster than the client reads its events. Sets `request.broke`
// to the reason if it breaks off.
function monitored(request, body, endTimeout) {
  const chunks = body[Symbol.asyncIterator]();
  const { monitor } = request;
  function fail(controller, reason, error) {
    request.broke = reason;
    body.destroy();
    controller.error(error);
  }
  async function pull(controller) {
    await request.waitForWindow();
    // pi-ai ignores this event from Claude.
    if (monitor.garbled) return fail(controller, "garbled", new Error("An event is garbled."));
    const timer = monitor.finished && setTimeout(() => body.destroy(), endTimeout);
    try {
      const { done, value } = await chunks.next();
      if (done) return controller.close();
      monitor.feed(value);
      controller.enqueue(value);
      if (!monitor.complete || monitor.garbled) return;
      // Without this, pi-ai would wait for the end of the connection.
      controller.close();
      drain(body, chunks);
    } catch (error) {
      if (monitor.finished) return controller.close();
      fail(controller, error?.code === "UND_ERR_BODY_TIMEOUT" ? "silent" : "cut", error);
    } finally {
      clearTimeout(timer);
    }
  }
  return new ReadableStream({ pull, cancel: () => void body.destroy() }, { highWaterMark: 0 });
}

async function drain(body, chunks) {
  const timer = setTimeout(() => body.destroy(), DRAIN_TIMEOUT);
  try {
    while (!(await chunks.next()).done);
  } catch {
    // The connection is closed and not reused.
  } finally {
    clearTimeout(timer);
  }
}

// Patterns for the events of all three APIs: the model has finished; the last event; and the reason
// for finishing, or an error. Text cannot match, because its quotation marks are escaped in JSON.
const FINISH = /"(?:finish|stop)_reason": ?"|"type": ?"response\.(?:completed|incomplete|failed)"/;
const LAST = /^data: ?\[DONE\]|"type": ?"(?:message_stop|response\.(?:completed|incomplete|failed))"/;
const REASON =
  /"(?:finish|stop)_reason": ?"|"type": ?"(?:response\.(?:incomplete|failed)|error)"|"error": ?[{"]/;

// Monitors the events of a response before pi-ai sees them, because pi-ai waits for the end of the
// connection, and does not report all finish reasons.
export class StreamMonitor {
  finished = false; // the model has sent a finish reason
  complete = false; // the last event has been received
  garbled = false; // an event is not valid
  last = undefined; // the event with the finish reason or the error
  #chunks = []; // of an incomplete line
  #length = 0;
  #ending = false;

  feed(chunk) {
    let from = 0;
    for (let to; (to = chunk.indexOf(10, from)) >= 0; from = to + 1) {
      const part = chunk.subarray(from, to);
      this.#line(this.#length ? Buffer.concat([...this.#chunks, part]) : part);
      this.#chunks = [];
      this.#length = 0;
    }
    if (from === chunk.length) return;
    this.#chunks.push(chunk.subarray(from));
    this.#length += chunk.length - from;
    if (this.#length > MAX_SIZE) throw new Error("A line is too long.");
  }

  #line(line) {
    const text = line.latin1Slice();
    if (text === "" || text === "\r") this.complete ||= this.#ending;
    else if (text.startsWith("data:")) {
      this.finished ||= FINISH.test(text);
      this.#ending ||= LAST.test(text);
      if (REASON.test(text)) this.last = parseJson(line.subarray(5));
      // Copilot sends the JSON of an event on one line.
      this.garbled ||= text.startsWith("data: {") && !text.trimEnd().endsWith("}");
    }
  }
}

function parseJson(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

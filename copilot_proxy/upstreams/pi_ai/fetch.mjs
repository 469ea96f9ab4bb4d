// The fetch that pi-ai's libraries get: it tells what they keep to themselves, the status, headers and
// body of a refusal, and how an answer ended. It lets no token go elsewhere, follows no redirect,
// asks once (a real fetch asks again by itself after a 421), and reads no faster than the client.

import { pipeline } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

const LONGEST = 8 * 1024 * 1024; // bytes of an answer in one piece, or of a line of a stream
const LONGEST_ERROR = 256 * 1024; // bytes
const DRAIN = 300; // ms for what follows the last event, so that the connection can be used again
const KEEP = 30_000; // ms for which an unused connection is kept

// The header by which a call says for which request it is; it does not go to Copilot. (Following the
// calls of libraries by their promises instead would make every promise dearer.)
export const ASKED = "x-asked";

// `requestOf` gives the request of a number. `timeouts` are in ms: to `connect`, of `silence`, and of
// `patience` with what says little more, the body of a refusal and what follows a finish.
export function fetchWith(undici, timeouts, requestOf) {
  const ways = new Map(); // the connections to Copilot, by the proxy on the way
  const settings = {
    headersTimeout: timeouts.silence,
    bodyTimeout: timeouts.silence,
    keepAliveTimeout: KEEP,
  };

  function way(proxy) {
    const connect = { timeout: timeouts.connect };
    if (!proxy) return new undici.Agent({ ...settings, connect });
    return new undici.ProxyAgent({ ...settings, uri: proxy, requestTls: connect, proxyTls: connect });
  }

  return async function fetch(url, { method, headers: given, body, signal }) {
    const { [ASKED]: number, ...headers } = Object.fromEntries(new Headers(given));
    const one = requestOf(number);
    if (!one || new URL(url).origin !== new URL(one.url).origin) {
      throw new Error("Only the address of Copilot may be asked.");
    }
    try {
      if (!ways.has(one.proxy)) ways.set(one.proxy, way(one.proxy));
      const answer = await undici.request(url, {
        method,
        headers,
        body,
        signal,
        dispatcher: ways.get(one.proxy),
      });
      const { statusCode: status, headers: told } = answer;
      return await taken(one, status, textsOf(told), unpacked(answer), timeouts.patience);
    } catch (error) {
      one.tell({ unreachable: { code: error?.code ?? error?.name ?? "", text: error?.message ?? "" } });
      throw error;
    }
  };
}

async function taken(one, status, headers, body, patience) {
  if (status < 200 || status > 299) {
    const late = setTimeout(() => body.destroy(), patience);
    const text = await textOf(body, LONGEST_ERROR).finally(() => clearTimeout(late));
    one.tell({ refused: { status, headers, body: text } });
    return new Response(null, { status: Math.max(status, 400) });
  }
  const kind = (headers["content-type"] ?? "").toLowerCase();
  if (!kind.startsWith("text/event-stream")) {
    one.tell({ whole: { headers, body: await textOf(body, LONGEST, true) } });
    return new Response(null, { status: 502 });
  }
  one.tell({ head: { status, headers } });
  return new Response(watched(one, body, patience), { status, headers: { "content-type": kind } });
}

const textsOf = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));

function unpacked({ headers, body }) {
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

// The beginning of a body, as far as it comes; `entire`: an error if it breaks off.
async function textOf(body, most, entire = false) {
  const parts = [];
  let size = 0;
  try {
    for await (const part of body) {
      parts.push(part);
      size += part.length;
      if (size > most) break;
    }
  } catch (error) {
    if (entire) throw error;
  }
  return Buffer.concat(parts).subarray(0, most).toString();
}

// The body as a stream that is read no faster than the client reads its events; notes how it broke.
function watched(one, body, patience) {
  const pieces = body[Symbol.asyncIterator]();
  const { ear } = one;
  function fail(controller, how, error) {
    one.broke = how;
    body.destroy();
    controller.error(error);
  }
  async function pull(controller) {
    await one.room();
    // pi-ai passes over such an event of Claude's.
    if (ear.garbled) return fail(controller, "garbled", new Error("An event is garbled."));
    const late = ear.finished && setTimeout(() => body.destroy(), patience);
    try {
      const { done, value } = await pieces.next();
      if (done) return controller.close();
      ear.hear(value);
      controller.enqueue(value);
      if (!ear.complete || ear.garbled) return;
      // pi-ai would wait for the end of the connection.
      controller.close();
      drain(body, pieces);
    } catch (error) {
      if (ear.finished) return controller.close();
      fail(controller, error?.code === "UND_ERR_BODY_TIMEOUT" ? "silent" : "cut", error);
    } finally {
      clearTimeout(late);
    }
  }
  return new ReadableStream({ pull, cancel: () => void body.destroy() }, { highWaterMark: 0 });
}

async function drain(body, pieces) {
  const late = setTimeout(() => body.destroy(), DRAIN);
  try {
    while (!(await pieces.next()).done);
  } catch {
    // It is closed instead.
  } finally {
    clearTimeout(late);
  }
}

// In the words of each API: that the model is done; that nothing follows; and why it is done, or
// that it failed. No text can look so: in JSON its quotation marks have backslashes.
const FINISH = /"(?:finish|stop)_reason": ?"|"type": ?"response\.(?:completed|incomplete|failed)"/;
const LAST = /^data: ?\[DONE\]|"type": ?"(?:message_stop|response\.(?:completed|incomplete|failed))"/;
const WHY =
  /"(?:finish|stop)_reason": ?"|"type": ?"(?:response\.(?:incomplete|failed)|error)"|"error": ?[{"]/;

// Listens to an answer on its way to pi-ai, which takes every end for a good one, and keeps to
// itself some of the reasons for it.
export class Ear {
  finished = false; // the model has said that it is done
  complete = false; // and nothing follows
  garbled = false; // an event is none
  last = undefined; // the event that says why
  #parts = []; // of a line that has not ended
  #length = 0;
  #ending = false;

  hear(piece) {
    let from = 0;
    for (let to; (to = piece.indexOf(10, from)) >= 0; from = to + 1) {
      const part = piece.subarray(from, to);
      this.#line(this.#length ? Buffer.concat([...this.#parts, part]) : part);
      this.#parts = [];
      this.#length = 0;
    }
    if (from === piece.length) return;
    this.#parts.push(piece.subarray(from));
    this.#length += piece.length - from;
    if (this.#length > LONGEST) throw new Error("A line is too long.");
  }

  #line(line) {
    const text = line.latin1Slice();
    if (text === "" || text === "\r") this.complete ||= this.#ending;
    else if (text.startsWith("data:")) {
      this.finished ||= FINISH.test(text);
      this.#ending ||= LAST.test(text);
      if (WHY.test(text)) this.last = parsed(line.subarray(5));
      // What Copilot says stands in one line.
      this.garbled ||= text.startsWith("data: {") && !text.trimEnd().endsWith("}");
    }
  }
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

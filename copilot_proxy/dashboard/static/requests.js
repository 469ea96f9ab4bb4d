// The list of requests: running ones on top, then those in the ledger.

import { get } from "./api.js";
import { $, el, render } from "./dom.js";
import { credits, day, duration, hour, moment, time, tokens } from "./format.js";

const MOST = 500; // rows that the page keeps
const FADE = 15000; // milliseconds after which a request that is not in a ledger disappears
export const OUTCOMES = {
  ok: "ok", client_left: "client left", refused_budget: "over budget",
  refused_upstream: "refused by Copilot", refused_here: "not sent", broken: "failed",
};

export class Requests {
  #rows = new Map(); // by request id
  #running = new Map();
  #oldest = null;
  #hasLedger = true;
  #open;

  /** `open` is called with the id of the request that the user wants to see. */
  constructor(open) {
    this.#open = open;
    $("filter-client").addEventListener("change", () => this.reload());
    $("filter-failed").addEventListener("change", () => this.reload());
    $("older").addEventListener("click", () => this.#loadOlder());
    setInterval(() => this.#tick(), 1000);
  }

  get #filters() {
    return { client: $("filter-client").value, failed: $("filter-failed").checked ? "1" : "" };
  }

  get #isFiltered() {
    return Boolean(this.#filters.client || this.#filters.failed);
  }

  setServer(server) {
    this.#hasLedger = server.ledger;
    this.#showEmpty(server);
  }

  /** Offers the clients of the overview as filters. */
  setClients(clients) {
    const select = $("filter-client");
    const names = clients.filter((one) => one.last_seen).map((one) => one.name);
    if (select.value && !names.includes(select.value)) names.push(select.value);
    if (names.join("\n") === [...select.options].slice(1).map((one) => one.value).join("\n")) return;
    const chosen = select.value;
    select.replaceChildren(el("option", { value: "" }, "all"), ...names.map((name) => el("option", { value: name }, name)));
    select.value = chosen;
  }

  /** Shows only the requests of one client. */
  filterClient(name) {
    const select = $("filter-client");
    if (![...select.options].some((one) => one.value === name)) select.append(el("option", { value: name }, name));
    select.value = name;
    $("requests").scrollIntoView({ block: "start" });
    $("requests").focus({ preventScroll: true });
    return this.reload();
  }

  /** Adds rows from the live stream, newest first. */
  add(rows) {
    for (const row of rows) this.#running.get(row.request_id)?.node.remove();
    for (const row of rows) this.#running.delete(row.request_id);
    if (this.#isFiltered) {
      if (rows.length) this.reload();
      return;
    }
    for (const row of rows.toReversed()) {
      if (this.#rows.has(row.request_id)) continue;
      const node = this.#row(row);
      this.#rows.set(row.request_id, { row, node });
      $("rows").prepend(node);
    }
    const nodes = $("rows").children;
    while (nodes.length > MOST) {
      this.#rows.delete(nodes[nodes.length - 1].dataset.id);
      nodes[nodes.length - 1].remove();
    }
    this.#updateEnd(rows.length);
  }

  async reload() {
    const { requests } = await get("requests", this.#filters);
    this.#rows = new Map(requests.map((row) => [row.request_id, { row, node: this.#row(row) }]));
    render($("rows"), [...this.#rows.values()].map((one) => one.node));
    this.#updateEnd(requests.length);
  }

  async #loadOlder() {
    const { requests } = await get("requests", { ...this.#filters, before: this.#oldest });
    for (const row of requests) {
      if (this.#rows.has(row.request_id)) continue;
      const node = this.#row(row);
      this.#rows.set(row.request_id, { row, node });
      $("rows").append(node);
    }
    this.#updateEnd(requests.length);
    if (requests.length) this.#rows.get(requests[0].request_id).node.querySelector("button").focus();
  }

  #updateEnd(count) {
    const last = [...this.#rows.values()].at(-1);
    const ids = [...this.#rows.values()].map((one) => one.row.id);
    this.#oldest = ids.length ? Math.min(...ids) : null;
    $("older").hidden = !last || (this.#rows.size < 50 && count < 50) || this.#rows.size >= MOST;
    this.#showEmpty();
  }

  #showEmpty(server = null) {
    if (server) {
      this.source = server.ledger_source;
      this.run = server.commands.run;
    }
    const isEmpty = !this.#rows.size && !this.#running.size;
    const text = !this.#hasLedger
      ? `The ledger is off, as set in ${this.source}. Only running requests are shown.`
      : this.#isFiltered ? "No matching requests." : `No requests yet. Point a client at the base URL above, or start one with: ${this.run}`;
    render($("requests-empty"), isEmpty || (!this.#hasLedger && !this.#rows.size) ? el("p", {}, text) : null);
  }

  /** Shows running requests; a completed one stays until its row arrives. */
  setRunning(found) {
    const ids = new Set(found.map((one) => one.request_id));
    for (const one of found.toReversed()) {
      const known = this.#running.get(one.request_id);
      if (known) {
        known.row = one;
        this.#fillRunning(known);
      } else if (!this.#rows.has(one.request_id)) {
        const entry = { row: one, node: el("tr", { className: "running" }), ended: null };
        this.#running.set(one.request_id, entry);
        this.#fillRunning(entry);
        $("running").prepend(entry.node);
      }
    }
    for (const [id, entry] of this.#running) {
      if (!ids.has(id) && entry.ended === null) {
        entry.ended = Date.now();
        this.#fillRunning(entry);
      }
    }
    this.#showEmpty();
  }

  #tick() {
    for (const [id, entry] of this.#running) {
      if (entry.ended === null) this.#fillRunning(entry);
      else if (Date.now() - entry.ended > FADE) {
        entry.node.remove();
        this.#running.delete(id);
      }
    }
  }

  #fillRunning(entry) {
    const { row } = entry;
    const age = Math.max(0, ((entry.ended ?? Date.now()) - row.started_us / 1000) / 1000);
    const state = entry.ended ? "ended" : row.attempts === 0 ? "waiting" : row.first_token_ms === null ? "thinking" : "answering";
    entry.node.replaceChildren(
      cell(time(row.started_us / 1e6)), this.#client(row), name(row.model, "no-phone"),
      cell("", "num no-tablet"), cell("", "num no-tablet"),
      cell(row.output_tokens ? `≈ ${tokens(row.output_tokens)}` : "", "num no-phone"),
      cell(first(row), "num no-middle"), cell("…", "num"),
      el("td", {}, el("span", { className: entry.ended ? "muted" : "live-dot" }, `${state} ${duration(age)}`)));
  }

  #row(row) {
    const when = row.ended_us / 1e6;
    const known = row.input_tokens !== null;
    const failed = row.outcome !== "ok";
    return el("tr", { "data-id": row.request_id, on: { click: () => this.#open(row.request_id) } },
      el("td", {}, el("button", {
        type: "button", className: "link", title: moment(when), "data-focus": row.request_id,
        on: { click: (event) => { event.stopPropagation(); this.#open(row.request_id); } },
      }, el("span", { className: "hidden" }, "Request at "), when * 1000 < midnight() ? `${day(when)}, ${hour(when)}` : time(when))),
      this.#client(row), name(row.model ?? row.model_asked, "no-phone"),
      cell(known ? tokens(row.input_tokens) : "–", "num no-tablet"),
      cell(known ? tokens(row.cache_read_tokens) : "–", "num no-tablet"),
      cell(known ? tokens(row.output_tokens) : "–", "num no-phone"),
      cell(first(row), "num no-middle"),
      cell(credits(row.nano_aiu), "num"),
      el("td", {},
        failed ? el("span", { className: row.outcome === "client_left" ? "badge" : "badge bad" }, OUTCOMES[row.outcome] ?? row.outcome)
          : el("span", { className: "muted" }, "ok"),
        row.cache_lost_nano_aiu ? el("span", { className: "badge warn", title: `Lost ${credits(row.cache_lost_nano_aiu)} credits` }, "cache miss") : null));
  }

  #client(row) {
    const client = row.client ?? "unknown";
    return el("td", { className: "name", title: client }, client, el("small", { className: "only-phone" }, row.model ?? row.model_asked ?? ""));
  }
}

const cell = (text, className = "") => el("td", { className }, text ?? "–");
const name = (text, className) => el("td", { className: `name ${className}`, title: text ?? "" }, text ?? "–");
const midnight = () => new Date().setHours(0, 0, 0, 0);
const first = (row) => (row.first_token_ms === null ? "–" : duration(row.first_token_ms / 1000));

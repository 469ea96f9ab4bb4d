// All details of a request, in a dialog.

import { get } from "./api.js";
import { $, copyButton, el, render } from "./dom.js";
import { credits, duration, exactCredits, moment, number, tokens } from "./format.js";
import { OUTCOMES } from "./requests.js";

const APIS = {
  chat_completions: "Chat Completions", responses: "Responses", messages: "Messages", embeddings: "Embeddings",
  count_tokens: "Count tokens", input_tokens: "Count tokens",
};

const VERDICTS = {
  cold: "the first request", ttl_expiry: "the pause was too long", prefix_change: "the beginning of the prompt changed",
  model_switch: "another model", tier_crossed: "the prompt has become too long", compaction: "the conversation was compacted",
  rerouted: "not found in the cache",
};

export class RequestDialog {
  #server = {};

  constructor() {
    const dialog = $("request");
    $("request-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname));
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  setServer(server) {
    this.#server = server;
  }

  /** Opens the dialog; throws Refused. */
  async open(id) {
    let one;
    try {
      one = await get("request", { id });
    } catch (error) {
      if (error.status !== 404) throw error;
      render($("request-body"), el("p", {}, error.message));
    }
    if (one) render($("request-body"), ...this.#content(one));
    history.replaceState(null, "", `#request=${encodeURIComponent(id)}`);
    if (!$("request").open) $("request").showModal();
  }

  #content(one) {
    return [
      el("p", { className: "lead" }, el("strong", {}, one.nano_aiu === null ? "Cost unknown" : `${exactCredits(one.nano_aiu)} credits`), `: ${one.cost_text}.`),
      one.computed_nano_aiu === null ? null : el("p", { className: "muted" }, `The details add up to ${exactCredits(one.computed_nano_aiu)} credits.`),
      one.error_code === null ? null : el("div", { className: "note bad" }, el("strong", {}, `${one.status} ${one.error_code}`), el("p", {}, one.hint)),
      times(one),
      tokenTable(one),
      cache(one),
      one.notes.length ? el("div", {}, el("h3", {}, "Notes"), el("ul", {}, one.notes.map((note) => el("li", {}, note)))) : null,
      el("h3", {}, "How it was sent"),
      facts(one),
      el("p", { className: "muted small-text" }, "The ledger does not contain the text of the conversation.",
        this.#server.dump_dir ? ` Dumps are on: the text is in ${this.#server.dump_dir}, in files with this request's id.` : ""),
    ];
  }
}

function times(one) {
  const total = Math.max(1, (one.ended_us - one.started_us) / 1000);
  const firstMs = one.first_token_ms;
  const text = `${duration(total / 1000)}` + (firstMs === null ? "" : `, first token after ${duration(firstMs / 1000)}`);
  const wait = el("span", { className: "wait" });
  wait.style.width = `${Math.min(100, ((firstMs ?? total) / total) * 100)}%`;
  return el("div", { className: "times" }, el("div", { className: "meter thin", role: "img", "aria-label": text }, wait),
    el("p", { className: "muted small-text" }, `${moment(one.started_us / 1e6)} · ${text}`));
}

function tokenTable(one) {
  if (one.input_tokens === null) return el("p", { className: "muted" }, "The token counts are unknown.");
  const counts = [
    ["Fresh input", one.input_tokens], ["From the cache", one.cache_read_tokens],
    ["Written to the cache", one.cache_write_tokens], ["Written to the 1-hour cache", one.cache_write_1h_tokens],
    ["Output", one.output_tokens], ["of which reasoning", one.reasoning_tokens],
  ].filter(([, count]) => count);
  const details = one.details.filter((detail) => detail && detail.token_count);
  return el("div", { className: "tables" },
    el("table", { className: "list" }, el("thead", {}, el("tr", {}, th("Tokens"), th("", "num"))),
      el("tbody", {}, counts.map(([name, count]) => el("tr", {}, el("td", {}, name), num(number(count)))))),
    details.length ? el("table", { className: "list" },
      el("thead", {}, el("tr", {}, th("Charged for"), th("Tokens", "num"), th("Per million", "num"), th("Credits", "num"))),
      el("tbody", {}, details.map((detail) => el("tr", {}, el("td", {}, String(detail.token_type ?? "?").replaceAll("_", " ")),
        num(tokens(detail.token_count)), num(credits((detail.cost_per_batch / detail.batch_size) * 1e6)),
        num(exactCredits((detail.token_count * detail.cost_per_batch) / detail.batch_size)))))) : null);
}

function cache(one) {
  if (one.cache_verdict === null) return null;
  const lost = one.cache_lost_nano_aiu ? ` ${credits(one.cache_lost_nano_aiu)} credits were lost.` : "";
  const words = one.cache_words;
  return el("div", { className: words ? "note warn" : "note" }, el("strong", {}, `Prompt cache: ${VERDICTS[one.cache_verdict] ?? one.cache_verdict}.`),
    el("p", {}, words ? `This request ${words[0]}.${lost} ${words[1]}` : "There was no earlier prompt to read from the cache. Nothing was lost."));
}

function facts(one) {
  const route = one.route && one.route !== one.api ? `${APIS[one.api] ?? one.api} → ${APIS[one.route] ?? one.route}` : APIS[one.api] ?? one.api;
  const asked = one.model_asked && one.model_asked !== one.model ? `, requested as ${one.model_asked}` : "";
  const answered = one.model_answered && one.model_answered !== one.model ? `, answered as ${one.model_answered}` : "";
  const rows = [
    ["Client", [one.client ?? "unknown", one.client_version].filter(Boolean).join(" ")],
    ["Session", one.session], ["Project", one.project], ["API key", one.key],
    ["Model", `${one.model ?? "unknown"}${asked}${answered}`],
    ["API", route], ["Calls to Copilot", number(one.attempts)], ["Initiator", one.initiator], ["Effort", one.effort],
    ["Price tier", one.tier], ["Result", `${OUTCOMES[one.outcome] ?? one.outcome}, status ${one.status}`], ["Finish", one.finish_reason],
    ["Account", one.account === null ? null : "the client's own sign-in"],
    ["GitHub's id", one.upstream_id],
  ].filter(([, value]) => value);
  return el("dl", { className: "pairs" },
    rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
    el("dt", {}, "Request id"), el("dd", {}, el("code", {}, one.request_id), " ", copyButton(one.request_id, "the request id")));
}

const th = (text, className = "") => el("th", { scope: "col", className }, text);
const num = (text) => el("td", { className: "num" }, text);

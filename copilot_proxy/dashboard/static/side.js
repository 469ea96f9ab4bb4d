// The right column: next turns, cache losses, budgets, clients, the server.

import { post } from "./api.js";
import { $, copyButton, el, render } from "./dom.js";
import { NANO, ago, countdown, counted, credits, day, duration, iso, number, percent, tokens } from "./format.js";

const PERIODS = { day: "today", month: "this month", session: "in today's most expensive session" };
const LOSSES = 3; // the number of losses to show
let sessions = [];
let isRaising = false;

/** Shows the cost of the next turn of recent sessions, and how long their prompts stay cached. */
export function showSessions(found) {
  sessions = found;
  render($("sessions"), found.length ? found.map(session) : el("p", { className: "empty" },
    "No sessions in the last hour. The cost of a session's next turn, and how long its prompt stays in the cache, will appear here."));
  tick();
}

function session(one) {
  const name = !one.session ? "unnamed" : one.session.length <= 12 ? one.session : `${one.session.slice(0, 12)}…`;
  return el("div", { className: "item" },
    el("p", { className: "split" }, el("strong", {}, one.client ?? "unknown client"), el("span", { className: "cost" })),
    el("p", { className: "muted small-text" }, `${one.model}, ${tokens(one.prompt_tokens)} tokens, session `,
      el("span", { title: one.session ?? "" }, name), one.nano_aiu === null ? "" : `, ${credits(one.nano_aiu)} credits so far`),
    el("p", { className: "small-text cached" }));
}

/** Counts down. */
function tick() {
  const now = Date.now() / 1000;
  [...$("sessions").querySelectorAll(".item")].forEach((node, i) => {
    const one = sessions[i];
    const left = one.cached_until === null ? 0 : one.cached_until - now;
    const cached = one.warm_nano_aiu === null || one.warm_nano_aiu !== one.cold_nano_aiu;
    const warm = cached && left > 0;
    const [cost, text] = [node.querySelector(".cost"), node.querySelector(".cached")];
    cost.textContent = `${credits(warm ? one.warm_nano_aiu : one.cold_nano_aiu)} credits`;
    text.textContent = warm ? `In the cache for ${countdown(left)}, then ${credits(one.cold_nano_aiu)} credits` : cached ? "No longer in the cache" : "Not in the cache";
    text.className = `small-text cached ${warm ? (left < 60 ? "warn-text" : "good-text") : "muted"}`;
  });
}
setInterval(tick, 1000);

/** Shows why requests missed the prompt cache, in sentences. */
export function showLosses(found) {
  if (!found.length) {
    render($("losses"), el("p", { className: "empty" }, "No request has missed the cache."));
    return;
  }
  const more = found.slice(LOSSES);
  const isOpen = $("losses").querySelector("details")?.open;
  render($("losses"), found.slice(0, LOSSES).map(loss),
    more.length ? el("details", { open: isOpen }, el("summary", { "data-focus": "more losses" }, `${number(more.length)} more`), more.map(loss)) : null);
}

const loss = (one) => el("div", { className: "item" },
  el("p", { className: "split" }, el("strong", {}, one.client ?? "unknown client"),
    el("span", { className: "cost" }, `−${credits(one.nano_aiu)} credits`)),
  el("p", { className: "small-text" }, `${counted(one.requests, "request")} ${one.what}. `, el("span", { className: "muted" }, one.advice)));

/** Shows the limits, each with a form to raise it; `onError` receives any error. */
export function showBudget(limits, server, onError) {
  // The form must stay while the user types or a raise is being sent, so that it can show an error.
  if (isRaising || ($("budget").contains(document.activeElement) && document.activeElement.matches("input"))) return;
  if (!limits.length) {
    render($("budget"), el("p", { className: "empty" }, "No budget. Set one with: "), command(server.commands.budget, "the command"));
    return;
  }
  render($("budget"), limits.map((one) => limit(one, server, onError)));
}

function limit(one, server, onError) {
  const share = one.allowed ? Math.min(1, (one.spent + one.reserved) / one.allowed) : 1;
  const level = share >= 1 ? "bad" : share >= 0.8 ? "warn" : "good";
  const scope = one.kind ? `${one.kind} ${one.name}` : "all requests";
  const title = `${scope}, per ${one.per}`;
  const fill = el("span", { className: `fill ${level}` });
  fill.style.width = `${share * 100}%`;
  const text = `${credits(one.spent)} of ${credits(one.allowed)} credits ${PERIODS[one.per]}`;
  const more = one.allowed > one.limit ? `, raised by ${credits(one.allowed - one.limit)}` : "";
  const reserved = one.reserved ? `, ${credits(one.reserved)} reserved` : "";
  const resets = one.resets_at ? `. Resets ${one.per === "day" ? "at midnight" : `on ${day(iso(one.resets_at))}`}.` : "";
  return el("div", { className: "item" },
    el("p", { className: "split" }, el("strong", {}, title), el("span", {}, `${percent(share)} used`)),
    el("div", { className: "meter thin", role: "img", "aria-label": text }, fill),
    el("p", { className: "small-text" }, text, el("span", { className: "muted" }, `${more}${reserved}${resets}`)),
    server.key === null ? raiseForm(one, title, onError) : null);
}

function raiseForm(one, title, onError) {
  const focus = `raise ${one.per} ${one.kind} ${one.name}`;
  const usual = Math.min(100, one.limit / NANO || 100); // so that one click at most doubles a limit
  const input = el("input", { type: "text", inputMode: "decimal", value: usual, size: 6, "aria-label": `Credits to add to the budget for ${title}`, "data-focus": focus });
  const problem = el("p", { className: "bad-text small-text", role: "alert" });
  const raise = async (event) => {
    event.preventDefault();
    const button = event.currentTarget.querySelector("button");
    button.disabled = true;
    isRaising = true;
    problem.textContent = "";
    try {
      await post("raise", { credits: input.value.trim(), kind: one.kind, name: one.name, per: one.per });
      button.disabled = false; // otherwise it could not receive the focus
      button.focus();
    } catch (error) {
      if (error.status !== 400) onError(error);
      else {
        problem.textContent = error.message;
        input.focus(); // so that the user can correct it; while it has the focus, the form is not replaced
      }
    } finally {
      button.disabled = false;
      isRaising = false;
    }
  };
  return [el("form", { className: "inline", on: { submit: raise } }, input,
    el("button", { type: "submit", className: "small", "data-focus": `${focus} button` }, one.per === "month" ? "Raise this month" : "Raise today")), problem];
}

/** Shows the clients that were seen or found, with the command that starts each. */
export function showClients(found) {
  const shown = found.filter((one) => one.last_seen || one.installed);
  const others = found.filter((one) => !one.last_seen && !one.installed);
  const isOpen = $("clients").querySelector("details")?.open ?? !shown.length;
  render($("clients"),
    shown.length ? null : el("p", { className: "empty" }, "No clients have been seen recently, and none are installed on this machine."),
    shown.map(client),
    others.length ? el("details", { open: isOpen }, el("summary", { "data-focus": "more clients" }, `${shown.length ? `${number(others.length)} more` : counted(others.length, "client")} that can use this server`), others.map(client)) : null);
}

function client(one) {
  const seen = one.last_seen ? `seen ${ago(one.last_seen)}, ${counted(one.requests, "request")}, ${credits(one.nano_aiu)} credits in 30 days` : one.installed ? "installed, not seen yet" : "not installed";
  return el("div", { className: "item" },
    el("p", { className: "split" }, el("strong", {}, one.title),
      one.command ? el("span", { className: "copy-line" }, el("code", {}, one.command), copyButton(one.command, `the command for ${one.title}`)) : null),
    el("p", { className: "muted small-text" }, seen));
}

/** Shows the state of the server. */
export function showServer(server) {
  const signedIn = server.simulated ? ["The simulator needs no sign-in", "muted"] : { yes: ["Signed in to Copilot", "good-text"], no: ["Not signed in", "bad-text"], unknown: ["The sign-in will be checked with the first request", "muted"] }[server.signed_in];
  render($("server"),
    el("ul", { className: "plain" },
      el("li", { className: signedIn[1] }, signedIn[0], server.signed_in === "no" ? `. Run: ${server.commands.login}` : ""),
      server.last_error ? el("li", { className: "bad-text" }, server.last_error) : null,
      server.cooldowns.length
        ? server.cooldowns.map((one) => el("li", { className: "warn-text" },
          `Requests for ${one.scope === "account" ? "the account" : one.model ?? "a model"} are paused for about ${duration(one.retry_in)} (${one.code})`))
        : el("li", { className: "muted" }, "No cooldowns"),
      server.upstream === "copilot" ? null : el("li", {}, `Requests go through ${server.upstream}`),
      server.ledger ? null : el("li", { className: "warn-text" }, `The ledger is off, as set in ${server.ledger_source}`),
      server.workers > 1 ? el("li", { className: "muted" }, `${number(server.workers)} worker processes; only one process's running requests are shown`) : null,
      server.dump_dir ? el("li", { className: "warn-text" }, "Conversations are written to ", el("code", {}, server.dump_dir)) : null,
      server.key === null ? null : el("li", {}, `Only requests with the API key ${server.key} are shown.`)));
}

const command = (text, label) => el("p", { className: "copy-line" }, el("code", {}, text), copyButton(text, label));

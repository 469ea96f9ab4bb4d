// The rest of this month's quota, the pace, and the amounts spent.

import { $, el, render } from "./dom.js";
import { counted, credits, day, iso, number, percent, quotaAmount } from "./format.js";

/** Shows the top of the page; `data` is the overview, `server` the state of the server. */
export function showQuota(data, server) {
  const { quota } = data;
  render($("quota-body"), quota ? left(quota, data.now) : unknown(server), facts(data));
}

function left(quota, now) {
  if (quota.left === null) {
    return el("div", { className: "left" },
      el("p", { className: "big" }, "No limit"),
      el("p", { className: "muted" }, `This seat has no quota of its own (${quota.unit}).`));
  }
  const used = Math.min(1, Math.max(0, 1 - quota.left / quota.entitlement));
  const end = quota.resets_at ? iso(quota.resets_at) : null;
  const elapsed = end ? share(end, now) : null;
  const level = quota.left <= 0 ? "bad" : quota.runs_out_at ? "warn" : "good";
  const [text, detail] = forecast(quota, end, now);
  return el("div", { className: "left" },
    el("p", { className: "big" }, quotaAmount(quota.left),
      el("small", {}, ` of ${number(quota.entitlement)} ${quota.unit}`)),
    meter(used, elapsed, level),
    el("p", { className: `forecast ${level}` }, el("strong", {}, text), " ", detail));
}

/** Draws the used share, with a mark where an even pace would be. */
function meter(used, elapsed, level) {
  const fill = el("span", { className: `fill ${level}` });
  fill.style.width = `${used * 100}%`;
  const label = `${percent(used)} used` + (elapsed === null ? "" : `; ${percent(elapsed)} of the month has passed`);
  const mark = elapsed === null ? null : el("span", { className: "mark" });
  if (mark) mark.style.left = `${elapsed * 100}%`;
  return el("div", {},
    el("div", { className: "meter", role: "img", "aria-label": label }, fill, mark),
    el("p", { className: "muted small-text", "aria-hidden": "true" }, label));
}

function forecast(quota, end, now) {
  const reset = end === null ? "" : `It resets on ${utcDay(end)}, 00:00 UTC.`;
  const beyond = quota.overage || Math.max(0, -quota.left);
  const over = beyond ? ` ${quotaAmount(beyond)} used beyond the plan.` : "";
  if (quota.left <= 0) return ["Used up.", reset + over];
  if (quota.runs_out_at) return [`Runs out on ${day(iso(quota.runs_out_at))}`, `at this month's pace. ${reset}${over}`];
  if (end === null) return ["No forecast:", `GitHub did not say when the quota resets.${over}`];
  if (now - start(end) < 86400) return ["Too early for a forecast.", reset + over];
  return ["Lasts until the reset", `at this month's pace. ${reset}${over}`];
}

const utcDay = (seconds) =>
  new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", timeZone: "UTC" }).format(seconds * 1000);

/** Returns the start of the month that ends at `end`, in seconds. */
function start(end) {
  const date = new Date(end * 1000);
  date.setUTCMonth(date.getUTCMonth() - 1);
  return date.getTime() / 1000;
}

const share = (end, now) => Math.min(1, Math.max(0, (now - start(end)) / (end - start(end))));

function unknown(server) {
  return el("div", { className: "left" },
    el("p", { className: "big" }, "Not known yet"),
    el("p", { className: "muted" }, server.signed_in === "no"
      ? `Sign in with: ${server.commands.login}`
      : "Copilot reports the remaining quota with every answer. Send a request through this server to see it."));
}

function facts(data) {
  const { today, month } = data;
  if (today === null) return null;
  return el("dl", { className: "facts" },
    fact("Today", credits(today.nano_aiu), `credits, ${counted(today.requests, "request")}`),
    fact("This month", credits(month.nano_aiu), `credits, ${counted(month.requests, "request")}`),
    fact("From the cache", month.cache_share === null ? "–" : percent(month.cache_share), "of all prompt tokens"),
    fact("Lost to cache misses", credits(month.cache_lost_nano_aiu), "credits this month"),
    month.unknown ? fact("Cost unknown", number(month.unknown), `${month.unknown === 1 ? "request" : "requests"}, not in the credits`) : null);
}

const fact = (name, value, detail) =>
  el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), el("small", {}, detail)));

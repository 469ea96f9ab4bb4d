// Formats numbers and times in the browser's locale.

export const NANO = 1e9;
const plain = new Intl.NumberFormat();
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 9 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

export const number = (value) => plain.format(value);
export const tokens = (value) => (value < 10000 ? plain.format(value) : compact.format(value));
export const time = (seconds) => clock.format(seconds * 1000);
export const hour = (seconds) => shortClock.format(seconds * 1000);
export const day = (seconds) => dayMonth.format(seconds * 1000);
export const longDay = (seconds) => weekday.format(seconds * 1000);
export const moment = (seconds) => full.format(seconds * 1000);
export const iso = (text) => Date.parse(text) / 1000;

/** Formats a share, such as 0.59, as the commands do: only 0 is 0%, and only 1 is 100%. */
export function percent(value) {
  if (value > 0 && value < 0.005) return `<${percents.format(0.01)}`;
  return value >= 0.995 && value < 1 ? `>${percents.format(0.99)}` : percents.format(value);
}

/** Formats credits with two decimals, as the commands do. */
function amount(value) {
  if (value === null || value === undefined) return "?";
  return value > 0 && value < 0.005 ? `<${cents.format(0.01)}` : cents.format(value);
}

/** Formats an amount of the quota with one decimal, the precision of GitHub's reports. */
export const quotaAmount = (value) => tenths.format(Math.max(0, value));

export const credits = (nano) => amount(nano === null || nano === undefined ? null : nano / NANO);
export const exactCredits = (nano) => (nano === null ? "unknown" : exact.format(nano / NANO));
export const counted = (count, noun) => `${plain.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/** Formats a duration, such as 0.8 s or 2 min 5 s. */
export function duration(seconds) {
  if (seconds < 60) return `${tenths.format(seconds)} s`;
  const rounded = Math.round(seconds);
  return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
}

/** Formats minutes and seconds, such as 3:20. */
export const countdown = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** Formats how long ago something was, such as 5 min. ago. */
export function ago(seconds) {
  const passed = Date.now() / 1000 - seconds;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (passed >= size) return relative.format(-Math.floor(passed / size), unit);
  }
  return relative.format(0, "minute");
}

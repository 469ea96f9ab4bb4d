// Credits over time, as stacked bars, with a table of the same numbers.

import { get } from "./api.js";
import { $, el, render } from "./dom.js";
import { counted, credits, hour, longDay, day, number, percent } from "./format.js";

const MOST = 7; // names that get their own color
const HEIGHT = 220;
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
const total = (rows, field, index) => sum(rows.flatMap((row) => (index === undefined ? row[field] : row[field][index])));

/** Returns the sum of `rows`, in one period or all; null if no request's cost is known. */
function cost(rows, index) {
  const requests = total(rows, "requests", index);
  return requests && requests === total(rows, "unknown", index) ? null : total(rows, "nano_aiu", index);
}

export class Chart {
  #plot = null;
  #data = null;
  #rows = [];
  #span = "week";
  #onSelect;
  #asked = 0;

  /** `onSelect` is called with a client's name when the user selects it. */
  constructor(onSelect) {
    this.#onSelect = onSelect;
    $("span").addEventListener("change", () => this.load());
    $("by").addEventListener("change", () => this.load());
    new ResizeObserver(() => this.#plot?.setSize({ width: $("chart").clientWidth, height: HEIGHT })).observe($("chart"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Reads the data again; throws Refused. */
  async load() {
    const span = document.querySelector("input[name=span]:checked").value;
    const by = document.querySelector("input[name=by]:checked").value;
    const asked = ++this.#asked;
    const found = await get("spent", { span, by });
    if (asked !== this.#asked) return; // the user has selected something else
    this.#span = span;
    this.#rows = withColors(found.spent, by);
    this.#data = found;
    this.#draw();
    this.#showTable(by);
  }

  get isLoaded() {
    return this.#data !== null;
  }

  #draw() {
    if (this.#data === null) return;
    const { starts } = this.#data;
    this.#plot?.destroy();
    this.#plot = null;
    $("chart").setAttribute("aria-label", `Credits over time: ${credits(cost(this.#rows))} in total. See the table for the numbers.`);
    if (!total(this.#rows, "requests")) {
      render($("chart"), el("p", { className: "empty" }, "No requests in this period."));
      this.#caption(null);
      return;
    }
    render($("chart"));
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const stacked = [];
    for (const row of this.#rows) {
      const below = stacked.at(-1);
      stacked.push(row.nano_aiu.map((nano, i) => nano / 1e9 + (below ? below[i] : 0)));
    }
    const bars = window.uPlot.paths.bars({ size: [0.7, 48], align: 0 });
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: $("chart").clientWidth, height: HEIGHT, legend: { show: false },
      padding: [8, 4, 0, 0],
      cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.5, starts.length - 0.5] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      axes: [
        { ...axis, size: 28, incrs: [1, 2, 3, 5, 7], space: 64, grid: { show: false }, values: (_, splits) => splits.map((i) => this.#label(i)) },
        { ...axis, size: 52, values: (_, splits) => splits.map((value) => number(value)) },
      ],
      // The tallest bars come first, so that each shorter one covers a part of them.
      series: [{}, ...this.#rows.map((row) => ({ fill: color(`--${row.color}`), width: 0, paths: bars, points: { show: false } })).reverse()],
      hooks: { setCursor: [(plot) => this.#caption(plot.cursor.idx)] },
    };
    this.#plot = new window.uPlot(options, [starts.map((_, i) => i), ...stacked.reverse()], $("chart"));
    this.#caption(null);
  }

  #label(index) {
    const start = this.#data.starts[index];
    if (start === undefined) return "";
    return this.#span === "day" ? hour(start) : day(start);
  }

  /** Shows the parts of the bar under the pointer. */
  #caption(index) {
    if (index === null || index === undefined) {
      $("chart-caption").textContent = "";
      return;
    }
    const start = this.#data.starts[index];
    const parts = this.#rows.filter((row) => row.nano_aiu[index]).map((row) => `${row.label} ${credits(row.nano_aiu[index])}`);
    const all = cost(this.#rows, index);
    const when = this.#span === "day" ? hour(start) : longDay(start);
    $("chart-caption").textContent = `${when}: ${credits(all)} credits${parts.length > 1 ? ` (${parts.join(", ")})` : ""}`;
  }

  #showTable(by) {
    const all = cost(this.#rows);
    if (!this.#rows.length) {
      render($("spent-table"));
      return;
    }
    const name = (row) => by === "client" && row.name
      ? el("button", { type: "button", className: "link", "data-focus": `spent ${row.name}`, title: "Show these requests", on: { click: () => this.#onSelect(row.name) } }, row.label)
      : row.label;
    render($("spent-table"), el("table", { className: "list" },
      el("caption", { className: "hidden" }, `Credits by ${by} in this period`),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, by[0].toUpperCase() + by.slice(1)),
        el("th", { scope: "col", className: "num" }, "Credits"), el("th", { scope: "col", className: "num" }, "Share"),
        el("th", { scope: "col", className: "num" }, "Requests"))),
      el("tbody", {}, this.#rows.map((row) => {
        const nano = cost([row]);
        return el("tr", {},
          el("td", { className: "name" }, el("span", { className: `swatch ${row.color}` }), name(row)),
          el("td", { className: "num" }, credits(nano)),
          el("td", { className: "num" }, nano === null ? "?" : all ? percent(nano / all) : "–"),
          el("td", { className: "num" }, number(sum(row.requests))));
      }))));
  }
}

/** Assigns colors to the names with the largest sums, and adds up the others. */
function withColors(spent, by) {
  const nameless = by === "key" ? "no name" : by === "project" ? "no project" : "unknown";
  const rows = spent.slice(0, MOST).map((one, i) => ({ ...one, label: one.name ?? nameless, color: `c${i + 1}` }));
  const others = spent.slice(MOST);
  if (others.length) {
    const add = (field) => others[0][field].map((_, i) => sum(others.map((one) => one[field][i])));
    rows.push({ name: null, label: counted(others.length, "other"), color: "c8", nano_aiu: add("nano_aiu"), requests: add("requests"), unknown: add("unknown") });
  }
  return rows;
}

// Starts the page: signs in if needed, opens the live stream, and passes its data to the views.

import { Live, get, post } from "./api.js";
import { Chart } from "./chart.js";
import { $, copy } from "./dom.js";
import { showQuota } from "./overview.js";
import { RequestDialog } from "./request.js";
import { Requests } from "./requests.js";
import { showBudget, showClients, showLosses, showServer, showSessions } from "./side.js";

const CHART_PAUSE = 10000; // milliseconds between updates of the chart
const baseUrl = `${location.origin}/v1`;
let server = null;
let overview = null;
let chartDue = null;

const dialog = new RequestDialog();
const requests = new Requests((id) => attempt(() => dialog.open(id)));
const chart = new Chart((client) => attempt(() => requests.filterClient(client)));
const live = new Live({ server: onServer, overview: onOverview, rows: (rows) => requests.add(rows), running: (rows) => requests.setRunning(rows) }, onState);

function onServer(data) {
  if (server !== null && server.version !== data.version) location.reload(); // a new version needs its own page
  server = data;
  $("version").textContent = data.profile ? `${data.version}, profile ${data.profile}` : data.version;
  $("simulated").hidden = !data.simulated;
  const [text, kind] = data.cooldowns.length ? ["Cooldown", "warn"] : { yes: ["Signed in", "good"], no: ["Not signed in", "bad"], unknown: ["", ""] }[data.signed_in];
  $("account").textContent = text;
  $("account").className = `state ${kind}`;
  $("account").hidden = !text;
  $("sign-out").hidden = !data.needs_key;
  dialog.setServer(data);
  requests.setServer(data);
  showServer(data);
  if (overview !== null) showQuota(overview, data);
}

function onOverview(data) {
  overview = data;
  show();
  showQuota(data, server);
  showSessions(data.sessions);
  showLosses(data.losses);
  showBudget(data.budget, server, showError);
  showClients(data.clients);
  requests.setClients(data.clients);
  chartDue ??= setTimeout(() => {
    chartDue = null;
    if (!document.hidden) attempt(() => chart.load());
  }, CHART_PAUSE);
}

function onState(state) {
  $("live").textContent = { live: "Live", connecting: "Connecting", closed: "Not connected" }[state];
  $("live").className = `state ${state === "live" ? "good live-dot" : "warn"}`;
  if (state === "live") showError(null);
  // The stream does not say why it was refused; another request does.
  if (state === "closed") attempt(() => get("spent")).then((worked) => setTimeout(() => worked && live.start(), 2000));
}

/** Runs a request to the server; asks for the key if needed, and shows any other errors. */
async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    if (error.status === 401) askForKey();
    else showError(error);
    return false;
  }
}

/** Shows the page once the layout is complete. */
function show() {
  if (overview !== null && chart.isLoaded) $("main").classList.remove("loading");
}

function showError(error) {
  $("notice").hidden = error === null;
  $("notice").textContent = error === null ? "" : error.status === undefined ? "The server is not responding. Is it still running?" : error.message;
}

function askForKey() {
  live.stop();
  if (!$("login").open) $("login").showModal();
  $("login-key").focus();
}

async function signIn(event) {
  event.preventDefault();
  try {
    await post("login", { key: $("login-key").value });
  } catch (error) {
    $("login-error").textContent = error.message;
    return;
  }
  $("login-key").value = "";
  $("login-error").textContent = "";
  $("login").close();
  start();
}

/** Exchanges the code of `copilot-proxy dashboard` for a cookie; it is never sent in a URL. */
async function redeemCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return;
  history.replaceState(null, "", location.pathname);
  await post("login", { code }).catch((error) => { $("login-error").textContent = error.message; });
}

async function start() {
  if (!(await attempt(() => chart.load()))) {
    if (!$("login").open) setTimeout(start, 3000);
    return;
  }
  live.start();
  show();
  const id = new URLSearchParams(location.hash.slice(1)).get("request");
  if (id) attempt(() => dialog.open(id));
}

$("base-url").textContent = baseUrl;
$("copy-url").addEventListener("click", (event) => copy(baseUrl, event.currentTarget));
$("login").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it
$("login-form").addEventListener("submit", signIn);
$("sign-out").addEventListener("click", () => attempt(async () => {
  await post("logout", {});
  location.reload();
}));
redeemCode().then(start);

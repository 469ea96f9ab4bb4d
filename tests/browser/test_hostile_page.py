"""Another page in the same browser can neither read nor change the dashboard."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from copilot_proxy.budget import limits_file
from copilot_proxy.simulator import Simulator
from tests.browser.conftest import Opened, Serve
from tests.conftest import settings_at
from tests.dashboard.sample import fill
from tests.http_server import HttpServer

KEY = "the-owners-key"
ATTACK = """async (target) => {
    const found = {};
    const note = (name, work) => work.then(
        (value) => { found[name] = value; }, () => { found[name] = null; });
    const urls = ["/dashboard/requests", "/dashboard/spent", "/dashboard/events", "/"];
    const headers = { "content-type": "application/json", "x-copilot-proxy-page": "1" };
    const body = JSON.stringify({ credits: "100", key: "x" });
    for (const url of urls) {
        for (const mode of ["cors", "no-cors", "same-origin"]) {
            await note(`${mode} ${url}`, fetch(target + url, { mode, credentials: "include" })
                .then((answer) => answer.text()));
        }
    }
    for (const url of ["/dashboard/raise", "/dashboard/login", "/dashboard/logout"]) {
        const post = (options) =>
            fetch(target + url, { method: "POST", body, credentials: "include", ...options })
                .then((answer) => answer.text());
        await note(`post ${url}`, post({ headers }));
        await note(`simple post ${url}`, post({ mode: "no-cors" }));
    }
    await note("events", new Promise((resolve) => {
        const source = new EventSource(target + "/dashboard/events", { withCredentials: true });
        source.onerror = () => { source.close(); resolve(null); };
        source.addEventListener("overview", (event) => resolve(event.data));
    }));
    const element = (tag, attributes) => new Promise((resolve) => {
        const one = Object.assign(document.createElement(tag), attributes);
        one.onload = () => resolve(tag === "iframe" ? read(one) : "loaded");
        one.onerror = () => resolve(null);
        document.body.append(one);
    });
    const read = (frame) => {
        try { return frame.contentDocument?.body.textContent || null; } catch { return null; }
    };
    await note("script", element("script", { src: target + "/dashboard/spent" }));
    await note("module", element("script", { src: target + "/dashboard/app.js", type: "module" }));
    await note("image", element("img", { src: target + "/dashboard/icon.svg" }));
    await note("iframe", element("iframe", { src: target + "/" }));
    return found;
}"""

OPEN = """(url) => {
    const one = open(url);
    try { return one.document.title; } catch { return null; }
}"""


class HostileSite(HttpServer):
    """A page from another origin."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/html")
        handler.end_headers()
        handler.wfile.write(b"<!doctype html><title>hostile</title><body>")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("key", [None, KEY], ids=["open", "with a key"])
def test_a_hostile_page(
    opened: Opened, simulator: Simulator, host: str, key: str | None, serve: Serve
) -> None:
    """A page on another port of the same host has no access, even in a signed-in browser."""
    settings = settings_at(simulator, ledger=True, budget="1000/day", api_key=key)
    fill(settings.ledger_file, days=1)
    server = serve(settings, simulated=False)
    with HostileSite() as site:
        page = opened(server.url, wait="#login[open]" if key else "#live.good")
        if key:
            page.fill("#login-key", key)
            page.keyboard.press("Enter")
            page.wait_for_selector("#live.good")
        hostile = page.context.new_page()
        hostile.goto(f"http://{host}:{site.port}/")
        read: dict[str, Any] = hostile.evaluate(ATTACK, server.url)
        # A link is allowed, but the target page is out of reach.
        framed = hostile.evaluate(OPEN, server.url)
        still = page.evaluate("fetch('/dashboard/requests').then((answer) => answer.status)")

    assert {None, ""} >= set(read.values()), read
    assert len(read) > 20
    assert framed in (None, "")
    assert 200 == still
    limits = limits_file.read(limits_file.path_for(settings.ledger_file))
    assert () == limits.raises
    opened.expect("")

"""The dashboard in a real browser, as a user sees and uses it."""

import pytest

from copilot_proxy.dashboard.login_codes import make_code
from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from tests.browser.conftest import LIVE, Opened, Serve, serious_problems
from tests.conftest import Proxy, settings_at
from tests.dashboard.sample import fill

PHONE = {"width": 360, "height": 740}
KEY = "the-owners-key"


def test_every_view(opened: Opened, server: Proxy) -> None:
    """Every part of the page shows data from the ledger and the server."""
    page = opened(server.url)
    page.wait_for_selector(".u-wrap canvas")

    shown = page.inner_text("main")
    for text in ("of 7,000 AI credits", "claude-code", "In the cache for"):
        assert text in shown
    # On the first day of a month
    assert "this month's pace" in shown or "Too early for a forecast." in shown
    for text in (
        "changed the list of tools",
        "of 1,000.00 credits today",
        "copilot-proxy run codex",
    ):
        assert text in shown
    assert page.is_visible("#simulated")
    assert f"{server.url}/v1" == page.inner_text("#base-url")
    assert 50 == page.locator("#rows tr").count()
    for span, count in (("Day", 24), ("Month", 30)):
        with page.expect_response("**/dashboard/spent*") as answer:
            page.get_by_text(span, exact=True).click()
        assert count == len(answer.value.json()["starts"])
    with page.expect_response("**/dashboard/spent*"):
        page.get_by_text("Project", exact=True).click()
    page.locator("#spent-table").get_by_text("website").wait_for()


def test_one_request(opened: Opened, server: Proxy) -> None:
    """The details of a request show the parts of its cost, the cache, the notes and the hint."""
    page = opened(server.url)
    page.locator("#rows .badge.warn").first.click()
    page.wait_for_selector("#request[open]")
    inside = page.inner_text("#request")
    for text in ("as reported by Copilot", "cache read", "Prompt cache", "dropped temperature"):
        assert text in inside
    address = page.url
    page.keyboard.press("Escape")
    page.wait_for_url(f"{server.url}/")

    again = opened(address, wait="#request[open]")
    assert "cache read" in again.inner_text("#request")

    page.check("#filter-failed")
    page.locator("#rows .badge.bad").first.click()
    page.wait_for_selector("#request .note.bad")
    assert "separate from the plan's quota" in page.inner_text("#request")


def test_unknown_costs(opened: Opened, server: Proxy) -> None:
    """An unknown cost is not shown as zero, and "1 other" is singular."""
    body = {"model": "text-embedding-3-small", "input": "words"}
    with server.client() as client:
        for number in range(3):
            path = f"/c/agent-{number}/v1/embeddings"
            assert 200 == client.post(path, json=body).status_code
    page = opened(server.url)
    page.locator("#spent-table", has_text="1 other").wait_for()
    assert "1 others" not in page.inner_text("#spent-table")

    page.get_by_text("Model", exact=True).first.click()
    row = page.locator("#spent-table tr", has_text="text-embedding-3-small")
    row.wait_for()
    assert ["?", "?", "3"] == row.locator("td.num").all_inner_texts()


def test_requests_as_they_run(opened: Opened, server: Proxy, simulator: Simulator) -> None:
    """A request appears when it starts, and turns into a ledger row when it ends."""
    page = opened(server.url)
    before = page.locator("#rows tr").first.get_attribute("data-id")
    simulator.state.pace = 0.1
    long = [{"role": "user", "content": "Write 600 words, secret"}]
    body = {"model": "gpt-4o", "stream": True, "messages": long}
    with (
        server.client() as client,
        client.stream("POST", "/c/my-agent/v1/chat/completions", json=body) as answer,
    ):
        page.locator("#running tr", has_text="my-agent").wait_for()
        simulator.state.pace = 0
        answer.read()
    page.locator("#rows tr", has_text="my-agent").wait_for()
    page.locator("#running tr").wait_for(state="detached")

    assert before != page.locator("#rows tr").first.get_attribute("data-id")
    assert "secret" not in page.content()


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "wide"])
def test_long_names(opened: Opened, server: Proxy, viewport: dict[str, int]) -> None:
    """Long names end in an ellipsis, so that no column is pushed off the screen."""
    name = "W" * 64
    body = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
    with server.client() as client:
        client.post(f"/c/{name}/v1/chat/completions", json=body)
        client.post(f"/c/{name}/v1/chat/completions", json={**body, "model": "opus"})
    page = opened(server.url, viewport=viewport)
    page.locator("#rows tr", has_text=name).nth(1).wait_for()
    link = page.locator("#spent-table button", has_text=name)
    link.wait_for()

    for table in ("#requests-scroll", "#spent-table"):
        sizes = page.evaluate("id => [id.scrollWidth, id.clientWidth]", page.query_selector(table))
        assert sizes[0] <= sizes[1]
    cell = page.locator("#spent-table td.name", has_text=name).bounding_box()
    box = link.bounding_box()
    assert cell is not None
    assert box is not None
    assert box["x"] + box["width"] <= cell["x"] + cell["width"]


def test_an_empty_page(opened: Opened, simulator: Simulator, serve: Serve) -> None:
    """If there are no requests, the page says what to do."""
    server = serve(settings_at(simulator, ledger=True))
    page = opened(server.url)
    page.locator("#chart .empty").wait_for()
    shown = page.inner_text("main")
    assert [] == serious_problems(page)

    for text in ("Not known yet", "No requests yet", "copilot-proxy budget set --simulate 500/day"):
        assert text in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, {"width": 1600, "height": 900}], ids=["phone", "wide"])
def test_accessibility(
    opened: Opened, server: Proxy, scheme: str, viewport: dict[str, int]
) -> None:
    """axe-core reports nothing serious, and nothing is wider than the screen."""
    page = opened(server.url, color_scheme=scheme, viewport=viewport)
    page.wait_for_selector(".u-wrap canvas")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert [] == serious_problems(page)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 22)"
    assert dark == (scheme == "dark")

    page.locator("#rows button").first.click()
    page.wait_for_selector("#request[open]")
    assert [] == serious_problems(page)


def test_keyboard_only(opened: Opened, server: Proxy) -> None:
    """Everything can be reached and used without a mouse."""
    page = opened(server.url)
    page.keyboard.press("Tab")
    assert "Skip to requests" == page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if page.evaluate("document.activeElement.closest('#rows') !== null"):
            break
    assert {"filter-client", "filter-failed"} <= reached
    row = page.evaluate("document.activeElement.dataset.focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#request[open]")
    page.keyboard.press("Escape")
    assert row == page.evaluate("document.activeElement.dataset.focus")

    page.focus("input[name=span]:checked")
    with page.expect_response("**/dashboard/spent?span=month*"):
        page.keyboard.press("ArrowRight")

    page.focus("#budget input")
    page.keyboard.press("End")
    page.keyboard.type("0")  # 1000 instead of 100
    page.keyboard.press("Enter")
    page.locator("#budget", has_text="of 2,000.00 credits today").wait_for()


def test_the_list_reaches_the_end(opened: Opened, server: Proxy) -> None:
    """If the right column is longer, the list of requests grows to end at the same height."""
    page = opened(server.url, viewport={"width": 1600, "height": 900})
    page.locator("#rows tr").nth(49).wait_for()
    bottoms = page.evaluate(
        "() => ['#requests', '.narrow'].map(id => "
        "document.querySelector(id).getBoundingClientRect().bottom)"
    )
    assert abs(bottoms[0] - bottoms[1]) < 2
    units = page.locator("#quota-body .facts small").all_inner_texts()
    assert [True, True] == [text.startswith("credits, ") for text in units[:2]]


def test_signing_in(opened: Opened, simulator: Simulator, serve: Serve) -> None:
    """A server with a key shows nothing before the sign-in, and everything after it."""
    settings = settings_at(simulator, ledger=True, api_key=KEY)
    fill(settings.ledger_file, days=1)
    server = serve(settings, simulated=False)
    page = opened(server.url, wait="#login[open]")
    assert "claude-code" not in page.content()
    assert [] == serious_problems(page)
    page.keyboard.press("Escape")
    assert page.is_visible("#login-key")
    page.fill("#login-key", "wrong")
    page.keyboard.press("Enter")
    page.locator("#login-error", has_text="The API key is wrong.").wait_for()
    page.fill("#login-key", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector(LIVE)
    page.locator("#rows tr").first.wait_for()
    assert "" == page.evaluate("document.cookie")
    page.click("#sign-out")
    page.wait_for_selector("#login[open]")
    opened.expect("401")


def test_the_code_of_the_command(opened: Opened, simulator: Simulator, serve: Serve) -> None:
    """The address that `copilot-proxy dashboard` opens works only once, and is not saved."""
    settings = settings_at(simulator, ledger=True, api_key=KEY)
    server = serve(settings, simulated=False)
    address = f"{server.url}/#code={make_code(settings.state_dir)}"
    page = opened(address)
    assert f"{server.url}/" == page.url
    other = opened(address, wait="#login[open]")
    assert "no longer valid" in other.inner_text("#login-error")
    opened.expect("401")


def test_a_hidden_page_closes_its_stream(opened: Opened, server: Proxy) -> None:
    """The server does nothing for a hidden page; once the page is shown, it updates again."""
    page = opened(server.url)
    script = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    closed = "**/dashboard/events"
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/events")):
        page.evaluate(script, True)
    with page.expect_request(closed):
        page.evaluate(script, False)
    page.wait_for_selector("#live.good")


def test_names_are_only_text(opened: Opened, server: Proxy) -> None:
    """A client's name is shown literally, whatever it contains."""
    name = "<img src=x onerror=alert(1)>"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    with server.client() as client:
        path = "/c/%3Cimg%20src=x%20onerror=alert(1)%3E/v1/chat/completions"
        assert 200 == client.post(path, json=body).status_code
    page = opened(server.url)
    page.locator("#rows tr", has_text=name).wait_for()

    assert 0 == page.locator("main img").count()


def test_numbers_in_another_locale(opened: Opened, server: Proxy) -> None:
    """Numbers follow the browser's locale."""
    page = opened(server.url, locale="de-DE")

    assert "von 7.000" not in page.inner_text("main")
    assert "of 7.000 AI credits" in page.inner_text("main")


def test_no_jumps(opened: Opened, server: Proxy) -> None:
    """While the page loads, visible content does not move."""
    page = opened(server.url, wait=".u-wrap canvas")
    page.locator("#rows tr").first.wait_for()
    moved = page.evaluate(
        """() => new Promise((resolve) => {
            const add = (list) => list.getEntries().reduce((sum, one) => sum + one.value, 0);
            new PerformanceObserver((list) => resolve(add(list)))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(0), 300);
        })"""
    )
    assert moved < 0.1


def test_the_server_stops_and_returns(opened: Opened, settings: Settings) -> None:
    """The page says that the server has stopped."""
    with Proxy(settings) as server:
        page = opened(server.url)
        server.close_streams()
        page.wait_for_selector("#live.warn")
    opened.expect("")

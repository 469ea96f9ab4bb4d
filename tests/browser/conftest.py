"""Opens the dashboard in Chromium, on a server with a simulator."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.dashboard.sample import fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A browser takes a second to start, so these tests only run with `make browser`.
collect_ignore_glob = [] if os.environ.get("BROWSER_TESTS") else ["test_*.py"]

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _PROGRAMS)), None)
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
_TIMEOUT = 60_000.0
"""Milliseconds until a wait fails."""
LIVE = "html[data-complete] #live.good"
"""Matches once the page is connected and shows everything that the live stream begins with."""
_MARK_COMPLETE = """
    window.EventSource = class extends EventSource {
        constructor(url) {
            super(url);
            // The last of the first events; the page's own listener is called before the timer.
            this.addEventListener("running", () => setTimeout(() => {
                document.documentElement.dataset.complete = "";
            }));
        }
    };
"""


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="run: make browser")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as tool:
        # A container has no sandbox, and the pages are our own.
        running = tool.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=_TIMEOUT
        )
        yield running
        running.close()


@pytest.fixture
def settings(simulator: Simulator) -> Settings:
    """A ledger with a month of requests, and a budget."""
    settings = settings_at(simulator, ledger=True, budget="1000/day")
    fill(settings.ledger_file)
    return settings


@pytest.fixture
def serve(simulator: Simulator) -> Iterator["Serve"]:
    """Starts servers, which stop only after the pages have been closed.

    Pages request data on their own, and report a problem if the server has stopped.
    """
    with ExitStack() as running:
        yield lambda settings, *, simulated=True: running.enter_context(
            Proxy(settings, simulated=simulated)
        )


@pytest.fixture
def server(settings: Settings, serve: "Serve") -> Proxy:
    """A server without keys."""
    return serve(settings)


class Serve(Protocol):
    """Starts a server that runs until the end of the test."""

    def __call__(self, settings: Settings, *, simulated: bool = True) -> Proxy: ...


class Opened:
    """Opens pages, and collects their errors and warnings."""

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self._problems: list[str] = []
        self._expected: list[str] = []

    def expect(self, text: str) -> None:
        """Ignore problems that contain `text`, even if they come later in the test."""
        self._expected.append(text)

    def problems(self) -> list[str]:
        """The unexpected errors and warnings of all pages."""
        return [one for one in self._problems if not any(text in one for text in self._expected)]

    def __call__(self, url: str, *, wait: str | None = LIVE, **options: Any) -> "Page":
        """Open `url` with the options of a browser context, and wait for an element."""
        options = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options}
        context = self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(_TIMEOUT)
        page: Page = context.new_page()
        page.add_init_script(_MARK_COMPLETE)
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        page.on("console", lambda message: self._note(message))
        page.goto(url)
        if wait:
            page.wait_for_selector(wait)
        return page

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._problems.append(message.text)

    def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def opened(browser: "Browser", serve: Serve) -> Iterator[Opened]:
    """Opens pages, closes them before their server stops, and fails if they have problems."""
    pages = Opened(browser)
    yield pages
    pages.close()
    assert [] == pages.problems()


def serious_problems(page: "Page") -> list[str]:
    """Return the serious and critical findings of axe-core."""
    # Our policy forbids adding scripts to a page, so the checker is added through the debugger.
    page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found = page.evaluate("() => axe.run()")
    return [
        f"{one['id']}: {node['html']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]

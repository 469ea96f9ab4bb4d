"""Budgets on the dashboard, in a real browser."""

from copilot_proxy.simulator import Simulator
from tests.browser.conftest import Opened, serious_problems
from tests.conftest import Proxy, settings_at


def test_raising_one_of_several_budgets(opened: Opened, simulator: Simulator) -> None:
    """Each budget has its own title; a wrong amount is explained; only that budget is raised."""
    settings = settings_at(simulator, ledger=True, budget=["500/day", "100/session"])
    with Proxy(settings, simulated=True) as server:
        page = opened(server.url)
        day = page.locator("#budget .item", has_text="all requests, per day")
        session = page.locator("#budget .item", has_text="all requests, per session")
        expected = (
            "The amount is invalid. "
            "Enter AI credits: a number above 0 with at most three decimals, such as 100."
        )
        for amount in ("-5", "abc", "", "0"):
            day.locator("input").fill(amount)
            with page.expect_response("**/dashboard/raise"):
                day.locator("button").click()
            day.locator("[role=alert]", has_text=expected).wait_for()
            assert expected == day.locator("[role=alert]").inner_text()
        assert [] == serious_problems(page)
        day.locator("input").fill("100")
        day.locator("button").click()
        day.get_by_text("raised by 100").wait_for()
        assert "raised" not in session.inner_text()
        assert "of 100.00 credits" in session.inner_text()
    opened.problems = [one for one in opened.problems if "400" not in one]


def test_a_refusal_by_the_budget(opened: Opened, simulator: Simulator) -> None:
    """A refused request says that the budget refused it, and how to raise the budget."""
    body = {"model": "claude-opus-5", "messages": [{"role": "user", "content": "x"}]}
    settings = settings_at(simulator, ledger=True, budget="0/day")
    with Proxy(settings, simulated=True) as server:
        with server.client() as client:
            assert client.post("/v1/chat/completions", json=body).is_error
        page = opened(server.url)
        page.locator("#rows .badge.bad").click()
        page.wait_for_selector("#request .note.bad")
        shown = page.inner_text("#request")
    assert "The budget did not allow this request" in shown
    assert "copilot-proxy budget raise --simulate 100" in shown

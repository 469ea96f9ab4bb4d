"""Budgets on the dashboard, in a real browser."""

from copilot_proxy.simulator import Simulator
from tests.browser.conftest import Opened, Serve, serious_problems
from tests.conftest import settings_at


def test_raising_one_of_several_budgets(opened: Opened, simulator: Simulator, serve: Serve) -> None:
    """Each budget has a title, an invalid amount is explained, and only one budget is raised."""
    settings = settings_at(simulator, ledger=True, budget=["500/day", "20/session"])
    server = serve(settings)
    page = opened(server.url)
    day = page.locator("#budget .item", has_text="all requests, per day")
    session = page.locator("#budget .item", has_text="all requests, per session")
    assert ["100", "20"] == [one.locator("input").input_value() for one in (day, session)]
    expected = (
        "The amount is invalid. "
        "Enter AI credits: a number greater than 0 with at most three decimals, such as 100."
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
    assert "of 20.00 credits" in session.inner_text()
    opened.expect("400")


def test_a_refusal_by_the_budget(opened: Opened, simulator: Simulator, serve: Serve) -> None:
    """A refused request says that the budget refused it, and how to raise the budget."""
    body = {"model": "claude-opus-5", "messages": [{"role": "user", "content": "x"}]}
    settings = settings_at(simulator, ledger=True, budget="0/day")
    server = serve(settings)
    with server.client() as client:
        refusal = client.post("/v1/chat/completions", json=body).json()["error"]
    page = opened(server.url)
    page.locator("#rows .badge.bad").click()
    page.wait_for_selector("#request .note.bad")
    shown = page.inner_text("#request")
    assert "The budget did not allow this request" in shown
    command = refusal["hint"].removeprefix("To raise it, run: ")
    assert command.startswith("copilot-proxy budget raise --simulate ")
    assert f"raise it with: {command}" in shown

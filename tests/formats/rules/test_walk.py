"""Every rule, from each client API to each of Copilot's APIs, on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.formats.rules import rule, rule_book
from copilot_proxy.relay import sender
from copilot_proxy.simulator import Simulator, catalogue
from tests.conftest import Proxy, clear_environment, settings_at
from tests.formats.rules.asking import CLIENTS, assistant, user
from tests.formats.rules.cases import ALL, CASES, Case, combinations

FOREIGN = {
    "chat_completions": ("max_output_tokens", "reasoning.effort", "output_config", "input["),
    "responses": ("max_tokens", "max_completion_tokens", "reasoning_effort", "messages["),
    "messages": ("max_output_tokens", "max_completion_tokens", "reasoning", "input["),
}
"""Fields of other APIs, which must not appear in notes to the client."""


class Walk:
    """A server in front of the strict simulator."""

    def __init__(self, simulator: Simulator, http: httpx.Client) -> None:
        self._simulator = simulator
        self._http = http

    def ask(self, case: Case, client: str, model: str) -> httpx.Response:
        """Send the request of a case and return the response."""
        self._simulator.state.recorder.clear()
        return self._http.post(CLIENTS[client], json=case.body(client, model))

    @property
    def last_body(self) -> Any:
        """Return the body that Copilot received."""
        return self._simulator.state.requests[-1].body


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """One server for all tests, with the models of both simulator catalogues."""
    folder: Path = tmp_path_factory.mktemp("walk")
    with pytest.MonkeyPatch.context() as patch:
        clear_environment(patch, folder)
        with Simulator(catalogue="2026-03", pace=0) as simulator:
            known = {entry["id"] for entry in simulator.state.catalogue}
            newer = [one for one in catalogue.load("2026-11") if one["id"] not in known]
            simulator.state.catalogue += newer
            with Proxy(settings_at(simulator)) as proxy, proxy.client() as http:
                yield Walk(simulator, http)


def test_every_rule_has_a_case() -> None:
    """Every rule has a source, and a case that shows why it is needed."""
    names = [rule.name for rule in rule_book.RULES]

    assert sorted(names) == sorted(CASES)
    assert len(names) == len(set(names))
    assert all(rule.source for rule in rule_book.RULES)


@pytest.mark.parametrize(("name", "client", "model"), combinations())
def test_a_rule_fixes_the_request(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, name: str, client: str, model: str
) -> None:
    """With the rule, the model answers; without it, the model receives a body that it refuses."""
    case = CASES[name]

    answer = walk.ask(case, client, model)

    assert 200 == answer.status_code, answer.text
    assert not case.broken(walk.last_body)
    notes = answer.headers.get("x-copilot-proxy-notes", "")
    assert [] == [word for word in (": to ", *FOREIGN[client]) if word in notes], notes
    route = answer.headers["x-copilot-proxy-route"]
    if not case.bites(client, route):
        return
    assert case.note in notes

    monkeypatch.setattr(
        rule_book, "RULES", tuple(one for one in rule_book.RULES if one.name != name)
    )
    monkeypatch.setattr(sender, "refused_fields", lambda message: [])
    without = walk.ask(case, client, model)

    assert 200 != without.status_code or case.broken(walk.last_body)


@pytest.mark.parametrize("client", CLIENTS)
def test_rules_about_tools_change_nothing_in_requests_without_tools(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """Tool rules are skipped for requests without tools, which they would not change."""
    steps = (assistant("Hello."), assistant("Yes?"), user(), assistant("Go"))
    options = {"system": "Be brief.", "effort": "high", "limit": 2000}
    case = Case(models=ALL, broken=lambda body: False, steps=steps, options=options)

    for model in ALL:
        walk.ask(case, client, model)
        skipped = walk.last_body
        with monkeypatch.context() as patch:
            patch.setattr(rule, "TOOLS", "no rule has this name")
            patch.setattr(rule_book, "RULES", (*rule_book.RULES,))
            walk.ask(case, client, model)
        assert skipped == walk.last_body

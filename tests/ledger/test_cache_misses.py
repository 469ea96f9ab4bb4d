"""Causes of prompt cache misses, detected in traffic that resembles real clients."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from copilot_proxy.cost.cache_advice import explain
from copilot_proxy.ledger.digest_key import NAME
from copilot_proxy.ledger.verification import verify
from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.catalogue import load
from copilot_proxy.simulator.prompt_cache import PromptCache
from tests.conftest import Proxy, settings_at

CLAUDE, OTHER_CLAUDE, GPT = "claude-opus-5", "claude-sonnet-4.6", "gpt-5.5"
EPHEMERAL = {"type": "ephemeral"}
WORDS = "Follow the conventions of the code around you. "


class Clock:
    """The clock that the ledger and the simulated provider use; tests advance it."""

    def __init__(self) -> None:
        self.seconds = 1_795_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def time_ns(self) -> int:
        return round(self.seconds * 1e9)


class Client:
    """A client that sends its requests ten seconds apart."""

    def __init__(self, simulator: Simulator, settings: Settings, clock: Clock) -> None:
        self.simulator, self.settings, self.clock = simulator, settings, clock
        self._proxy = Proxy(settings)

    def __enter__(self) -> "Client":
        self._proxy.__enter__()
        self._http = self._proxy.client()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._proxy.__exit__()

    def use_another_machine(self) -> None:
        cache = self.simulator.state.prompt_cache
        assert cache is not None
        cache.machine = 2

    def ask(self, path: str, body: dict[str, Any], pause: float = 10, **headers: str) -> None:
        self.clock.seconds += pause
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._http.post(path, json=body, headers=sent)
        assert 200 == answer.status_code, answer.text

    def rows(self) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.settings.ledger_file)) as database:
            assert [] == verify(database).changes
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM requests ORDER BY id")]

    def misses(self) -> list[tuple[str | None, str | None]]:
        return [(row["cache_verdict"], row["cache_detail"]) for row in self.rows()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("copilot_proxy.ledger.ledger.time", made)
    return made


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Client]]:
    """Yield a function that returns a client of a server whose provider has a real prompt cache."""
    simulators = []

    def made(**options: Any) -> Client:
        simulator = Simulator(**{"catalogue": "2026-03", "pace": 0, **options})
        simulators.append(simulator.__enter__())
        simulator.state.prompt_cache = PromptCache(clock)
        settings = settings_at(simulator, ledger=True, home_dir=str(tmp_path))
        return Client(simulator, settings, clock)

    yield made
    for simulator in simulators:
        simulator.__exit__(None, None, None)


def tools(*names: str) -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    return [{"name": one, "description": WORDS * 12, "input_schema": schema} for one in names]


def claude_code(
    *texts: str,
    model: str = CLAUDE,
    names: tuple[str, ...] = ("Bash", "Edit", "Read"),
    system: str = "You are Claude Code. ",
) -> dict[str, Any]:
    """Return a request from Claude Code, with marks on the system prompt and the last message.

    The last message becomes a plain string as soon as another message follows.
    """
    messages: list[dict[str, Any]] = [
        {"role": role, "content": text}
        for role, text in zip(itertools.cycle(("user", "assistant")), texts, strict=False)
    ]
    last = {"type": "text", "text": texts[-1], "cache_control": EPHEMERAL}
    messages[-1] = {"role": "user", "content": [last]}
    return {
        "model": model,
        "max_tokens": 300,
        "tools": tools(*names),
        "system": [
            {"type": "text", "text": system},
            {"type": "text", "text": WORDS * 100, "cache_control": EPHEMERAL},
        ],
        "messages": messages,
    }


def responses(*texts: str, model: str = GPT, session: str = "", **more: Any) -> dict[str, Any]:
    """Return a request from Codex."""
    items = [
        {
            "type": "message",
            "role": role,
            "content": [{"type": f"{kind}_text", "text": text}],
        }
        for (role, kind), text in zip(
            itertools.cycle((("user", "input"), ("assistant", "output"))), texts, strict=False
        )
    ]
    functions = [
        {"type": "function", "name": one["name"], "description": one["description"],
         "parameters": one["input_schema"]}
        for one in tools("shell", "update_plan")
    ]  # fmt: skip
    key = {"prompt_cache_key": session} if session else {}
    return {
        "model": model,
        "instructions": "You are Codex. " + WORDS * 100,
        "input": items,
        "tools": functions,
        "stream": False,
        "store": False,
        **key,
        **more,
    }


IN_CLAUDE_CODE: Final[dict[str, Any]] = {
    "user_agent": "claude-cli/2.1.332",
    "x_claude_code_session_id": "s-1",
}
IN_CODEX: Final[dict[str, Any]] = {"user_agent": "codex_exec/0.171.0", "session_id": "s-2"}
IN_OPENCODE: Final[dict[str, Any]] = {"user_agent": "opencode/1.18.33", "x_session_id": "ses_3"}
QUESTION = "Explain this. " + WORDS * 20
ANSWER = "It follows the conventions. " * 30


def test_a_pause(make: Callable[..., Client]) -> None:
    """Claude Code: the first turn is cold, the second hits, and a turn after six minutes misses."""
    with make() as client:
        client.ask("/v1/messages", claude_code(QUESTION), **IN_CLAUDE_CODE)
        turns = (QUESTION, ANSWER, "Go on.")
        client.ask("/v1/messages", claude_code(*turns), **IN_CLAUDE_CODE)
        client.ask("/v1/messages", claude_code(*turns, ANSWER, "And?"), pause=360, **IN_CLAUDE_CODE)

    first, second, third = client.rows()
    assert [("cold", None), (None, None), ("ttl_expiry", "360 300")] == client.misses()
    assert 0 == first["cache_lost_nano_aiu"]
    # The tokens cached by the second request were written again, at $6.25 per million, not $0.50.
    had = second["cache_read_tokens"] + second["cache_write_tokens"]
    assert had > 1024
    assert had * 575_000 == third["cache_lost_nano_aiu"]


def test_the_tools_change(make: Callable[..., Client]) -> None:
    """opencode on Chat Completions adds a tool after the first turn, and later removes it."""

    def body(*names: str, turns: tuple[str, ...]) -> dict[str, Any]:
        roles = zip(itertools.cycle(("user", "assistant")), turns, strict=False)
        return {
            "model": OTHER_CLAUDE,
            "messages": [
                {"role": "system", "content": "You are opencode. " + WORDS * 100},
                *({"role": role, "content": text} for role, text in roles),
            ],
            "tools": [
                {"type": "function", "function": {"name": one["name"],
                 "description": one["description"], "parameters": one["input_schema"]}}
                for one in tools(*names)
            ],
        }  # fmt: skip

    with make() as client:
        path = "/v1/chat/completions"
        client.ask(path, body("bash", "edit", turns=(QUESTION,)), **IN_OPENCODE)
        turns: tuple[str, ...] = (QUESTION, ANSWER, "Go on.")
        client.ask(path, body("bash", "edit", "lsp", turns=turns), **IN_OPENCODE)
        turns = (*turns, ANSWER, "And?")
        client.ask(path, body("bash", "edit", "lsp", turns=turns), **IN_OPENCODE)
        turns = (*turns, ANSWER, "Thanks.")
        client.ask(path, body("bash", "edit", turns=turns), **IN_OPENCODE)

    assert [
        ("cold", None),
        ("prefix_change", "tool 3 lsp"),
        (None, None),
        ("prefix_change", "tool 3"),
    ] == client.misses()
    assert client.rows()[1]["cache_lost_nano_aiu"] > 0


@pytest.mark.parametrize("model", [CLAUDE, GPT])
def test_the_system_prompt_changes(make: Callable[..., Client], model: str) -> None:
    """A client puts the time at the start of its system prompt, with a model of either vendor."""
    with make() as client:
        for minute, turns in enumerate([(QUESTION,), (QUESTION, ANSWER, "Go on.")]):
            body = claude_code(*turns, model=model, system=f"It is 12:0{minute}. ", names=("A",))
            client.ask("/v1/messages", body, **IN_CLAUDE_CODE)

    assert ("prefix_change", "system 1") == client.misses()[1]
    assert client.rows()[1]["cache_lost_nano_aiu"] > 0


@pytest.mark.parametrize("size", [20, 600])
def test_an_old_message_changes(make: Callable[..., Client], size: int) -> None:
    """opencode removes the text of an old tool result, however long, from the middle of the
    conversation."""
    start = [{"role": "user", "content": QUESTION}]
    call = {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"}
    rest = [
        {"role": "user", "content": WORDS * 60},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": WORDS * 50},
        {"role": "assistant", "content": ANSWER},
    ]

    def body(result: str, last: str) -> dict[str, Any]:
        output = {"type": "function_call_output", "call_id": "c1", "output": result}
        messages = [*start, call, output, *rest, {"role": "user", "content": last}]
        return responses(input=messages, instructions="Be brief.", tools=[])

    with make() as client:
        client.ask("/v1/responses", body(WORDS * size, "Go on."), **IN_OPENCODE)
        client.ask("/v1/responses", body("[Old tool result content cleared]", "?"), **IN_OPENCODE)

    assert ("prefix_change", "message 3") == client.misses()[1]


SHORT = "Edit it. "


def turns_of(count: int) -> tuple[str, ...]:
    """Return different texts of the user and the model, in turn, and a short question."""
    texts = (f"{number}. {WORDS * 6}" for number in range(2 * count))
    return (*texts, "Go on.")


def aider(*texts: str, model: str = GPT, system: str = "You are aider. ") -> dict[str, Any]:
    """Return a request from aider, which has no tools and no session."""
    roles = zip(itertools.cycle(("user", "assistant")), texts, strict=False)
    messages = [{"role": role, "content": text} for role, text in roles]
    return {"model": model, "messages": [{"role": "system", "content": system}, *messages]}


@pytest.mark.parametrize("pasted", [SHORT, WORDS * 300 + SHORT])
def test_the_first_message_is_edited(make: Callable[..., Client], pasted: str) -> None:
    """The user edits the first message of a long conversation: its entire text, or the end of a
    long one, whose beginning can still be read. aider names no session."""
    one, other = (pasted, *turns_of(8)[1:]), (pasted + "Now.", *turns_of(8)[1:])
    with make() as client:
        client.ask("/v1/responses", responses(*one), **IN_CODEX)
        client.ask("/v1/responses", responses(*other, ANSWER, "?"), **IN_CODEX)
        client.ask("/v1/chat/completions", aider(*one))
        client.ask("/v1/chat/completions", aider(*other, ANSWER, "?"))

    codex, unnamed = client.misses()[1::2]
    assert ("prefix_change", "message 1") == codex == unnamed
    assert all(row["cache_lost_nano_aiu"] > 0 for row in client.rows()[1::2])


def test_another_conversation(make: Callable[..., Client]) -> None:
    """Without a session, a new conversation of the same client is cold."""
    with make() as client:
        client.ask("/v1/chat/completions", aider(*turns_of(8)))
        client.ask("/v1/chat/completions", aider(f"Something else. {WORDS * 200}"))

    assert [("cold", None), ("cold", None)] == client.misses()


def in_session(name: str) -> str:
    """Return the path of Messages for a client that `run` has started."""
    return f"/c/claude-code/s/{name}/v1/messages"


@pytest.mark.parametrize(
    ("pause", "model", "miss"),
    [
        (60, CLAUDE, (None, None)),
        (720, CLAUDE, ("ttl_expiry", "720 300")),
        (60, OTHER_CLAUDE, ("model_switch", CLAUDE)),
    ],
)
def test_a_conversation_continues_in_a_new_session(
    make: Callable[..., Client], pause: int, model: str, miss: tuple[str | None, str | None]
) -> None:
    """`claude --continue` sends the conversation again, in a session of its own if `run` starts
    it."""
    turns = (QUESTION, ANSWER, "Go on.")
    with make() as client:
        client.ask(in_session("run-1"), claude_code(*turns))
        for number in range(10):  # other conversations do not hide it
            client.ask(in_session(f"other-{number}"), claude_code(f"Find {number}. " * 90), 0)
        client.ask(in_session("run-2"), claude_code(*turns, ANSWER, "?", model=model), pause)

    assert miss == client.misses()[-1]
    assert ((client.rows()[-1]["cache_lost_nano_aiu"] or 0) > 0) == (miss[0] is not None)


def test_a_first_message_is_resumed_in_a_new_session(make: Callable[..., Client]) -> None:
    """A conversation of one question is continued in another session, after a long pause."""
    with make() as client:
        client.ask(in_session("run-1"), claude_code(QUESTION))
        client.ask(in_session("run-2"), claude_code(QUESTION, ANSWER, "Go on."), 720)

    assert ("ttl_expiry", "720 300") == client.misses()[-1]


def test_a_conversation_is_resumed_during_another(make: Callable[..., Client]) -> None:
    """`/resume` switches to an older conversation, whose first message now names another day."""
    turns = (ANSWER, "Go on.")
    with make() as client:
        client.ask(in_session("run-1"), claude_code(f"It is Monday. {QUESTION}", *turns))
        other = claude_code("Find it. " * 90, "Found. " * 90, "Where?")
        client.ask(in_session("run-2"), other, 720)
        resumed = claude_code(f"It is Tuesday. {QUESTION}", *turns, ANSWER, "Thanks.")
        client.ask(in_session("run-2"), resumed)

    assert ("ttl_expiry", "730 300") == client.misses()[-1]


@pytest.mark.parametrize("question", [QUESTION, "Something else."])
def test_a_new_session_with_the_same_instructions(
    make: Callable[..., Client], question: str
) -> None:
    """Claude Code puts CLAUDE.md into the first message. A new conversation does not continue an
    earlier one that has the same, even if it asks the same question."""

    def body(*texts: str) -> dict[str, Any]:
        request = claude_code(*texts)
        first = request["messages"][0]
        if isinstance(first["content"], str):
            first["content"] = [{"type": "text", "text": first["content"]}]
        first["content"].insert(0, {"type": "text", "text": f"Contents of CLAUDE.md: {WORDS * 99}"})
        return request

    with make() as client:
        client.ask(in_session("run-1"), body(QUESTION))
        client.ask(in_session("run-2"), body(QUESTION, ANSWER, "Go on."))
        client.ask(in_session("run-3"), body(question), 720)

    assert ("cold", None) == client.misses()[-1]


def test_a_result_is_cleared_anywhere(make: Callable[..., Client]) -> None:
    """Wherever a client clears an old result, the cache is read up to it: it is never another
    machine that explains the miss."""
    with make() as client:
        for number in range(36, 60):
            turns = turns_of(30)
            system = f"{number}. You are aider. "
            client.ask("/v1/chat/completions", aider(*turns, system=system))
            cleared = (*turns[:number], "[Cleared]", *turns[number + 1 :], ANSWER, "?")
            client.ask("/v1/chat/completions", aider(*cleared, system=system))

    found = client.rows()[1::2]
    assert {"prefix_change", None} == {row["cache_verdict"] for row in found}
    shares = [
        row["cache_read_tokens"] / (row["input_tokens"] + row["cache_read_tokens"])
        for row in found
        if row["cache_verdict"]
    ]
    assert max(shares) > 0.7


def test_a_result_is_cleared_while_the_cache_lasts_longer(make: Callable[..., Client]) -> None:
    """If everything up to a change was read in spite of a pause, the change explains the miss."""
    with make() as client:
        client.simulator.state.prompt_cache = PromptCache(client.clock, ttl=3000)
        turns = turns_of(12)
        client.ask("/v1/responses", responses(*turns), **IN_CODEX)
        body = responses(*turns[:12], "[Cleared]", *turns[13:], ANSWER, "?")
        client.ask("/v1/responses", body, pause=900, **IN_CODEX)

    assert ("prefix_change", "message 13") == client.misses()[1]


def with_ttl(body: dict[str, Any], *, system: str | None, last: str | None) -> dict[str, Any]:
    """Let the marks on the system prompt and the last message ask for these TTLs."""
    for block, ttl in ((body["system"][1], system), (body["messages"][-1]["content"][0], last)):
        block["cache_control"] = {**EPHEMERAL, **({"ttl": ttl} if ttl else {})}
    return body


@pytest.mark.parametrize(
    ("last", "pause", "detail", "text"),
    [
        ("1h", 4500, "4500 3600", "a pause longer than the hour for which prompts stay"),
        (None, 720, "720 300", "a pause longer than the 5 minutes for which prompts stay"),
    ],
)
def test_a_pause_after_an_hour_was_requested(
    make: Callable[..., Client], last: str | None, pause: int, detail: str, text: str
) -> None:
    """Claude Code keeps the entire prompt for an hour, or only the system prompt."""
    beta = {"anthropic_beta": "extended-cache-ttl-2025-04-11", **IN_CLAUDE_CODE}
    turns = (QUESTION, ANSWER * 9, "Go on.")
    with make() as client:
        for texts, seconds in ((turns, 10), ((*turns, ANSWER, "And?"), pause)):
            body = with_ttl(claude_code(*texts), system="1h", last=last)
            client.ask("/v1/messages", body, seconds, **beta)

    assert ("ttl_expiry", detail) == client.misses()[1]
    assert text in explain("ttl_expiry", detail, 1)[0]


def test_a_pause_longer_than_the_cache_is_known_to_last(make: Callable[..., Client]) -> None:
    """A pause of twenty minutes hit the cache, so thirty minutes are compared with twenty."""
    turns: tuple[str, ...] = (QUESTION,)
    with make() as client:
        client.simulator.state.prompt_cache = PromptCache(client.clock, ttl=1300)
        for pause in (10, 1200):
            client.ask("/v1/responses", responses(*turns), pause, **IN_CODEX)
            turns = (*turns, "Yes.", "Go on.")
    with Client(client.simulator, client.settings, client.clock) as client:  # rows are written
        client.ask("/v1/responses", responses(*turns), 1800, **IN_CODEX)

    assert [(None, None), ("ttl_expiry", "1800 1200")] == client.misses()[1:]


def test_another_model_on_another_api(make: Callable[..., Client]) -> None:
    """opencode switches from GPT to Claude, whose API writes tools and calls differently."""
    call = {"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are opencode. " + WORDS * 100},
        {"role": "user", "content": QUESTION},
    ]
    for number in range(4):
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [{**call, "id": f"c{number}"}]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"{number} {ANSWER}"},
        ]
    functions = [
        {"type": "function", "function": {"name": one["name"], "parameters": one["input_schema"]}}
        for one in tools("Bash")
    ]
    with make() as client:
        for model in (GPT, CLAUDE):
            body = {"model": model, "messages": messages, "tools": functions}
            client.ask("/v1/chat/completions", body, **IN_OPENCODE)

    assert ["responses", "messages"] == [row["route"] for row in client.rows()]
    assert ("model_switch", GPT) == client.misses()[1]
    assert client.rows()[1]["cache_lost_nano_aiu"] > 0


def test_another_model(make: Callable[..., Client]) -> None:
    """The user switches models in the middle of a session, and back."""
    with make() as client:
        turns: tuple[str, ...] = (QUESTION,)
        for model, pause in ((CLAUDE, 10), (OTHER_CLAUDE, 10), (CLAUDE, 400)):
            client.ask("/v1/messages", claude_code(*turns, model=model), pause, **IN_CLAUDE_CODE)
            turns = (*turns, ANSWER, "Go on.")

    assert [("model_switch", CLAUDE), ("model_switch", OTHER_CLAUDE)] == client.misses()[1:]


def test_another_machine(make: Callable[..., Client]) -> None:
    """Codex: Copilot does not find the same prefix a short time later."""
    with make() as client:
        client.ask("/v1/responses", responses(QUESTION, session="s-2"), **IN_CODEX)
        client.use_another_machine()
        body = responses(QUESTION, ANSWER, "Go on.", session="s-2")
        client.ask("/v1/responses", body, **IN_CODEX)

    assert [("cold", None), ("rerouted", None)] == client.misses()
    row = client.rows()[1]
    assert (0, 0) == (row["cache_read_tokens"], row["cache_write_tokens"])
    # All tokens cached by the first request cost $1.25 instead of $0.125 per million.
    cached = client.rows()[0]["input_tokens"] // 128 * 128
    assert cached * 112_500 == row["cache_lost_nano_aiu"] > 0


def test_the_higher_price_tier(make: Callable[..., Client]) -> None:
    """A conversation outgrows the maximum prompt length of the lower price tier."""
    entry = next(one for one in load("2026-03") if one["id"] == GPT)
    prices = {"input_price": 500, "output_price": 3000, "cache_read_price": 50}
    entry["billing"]["token_prices"] = {
        "batch_size": 1_000_000,
        "default": {**prices, "max_prompt_tokens": 2500},
        "long_context": {name: 2 * price for name, price in prices.items()},
    }
    with make(catalogue=[entry]) as client:
        turns: tuple[str, ...] = (QUESTION,)
        for _ in range(3):
            client.ask("/v1/responses", responses(*turns), **IN_CODEX)
            turns = (*turns, ANSWER * 2, "Go on.")

    _, _, third = client.rows()
    assert ["default", "long_context"] == [row["tier"] for row in client.rows()[1:]]
    assert [(None, None), ("tier_crossed", None)] == client.misses()[1:]
    assert third["nano_aiu"] / 2 == pytest.approx(third["cache_lost_nano_aiu"], 0.01)


def test_a_compaction(make: Callable[..., Client]) -> None:
    """Claude Code continues with a summary instead of the conversation."""
    long = (QUESTION, ANSWER * 8, "Go on.", ANSWER * 8, "Go on.", ANSWER * 8, "And?")
    summary = "This session is being continued from a previous conversation. " * 3
    # Claude Code's first message begins with reminders, and a compaction does not change them.
    reminder = {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>" * 4}
    bodies = [claude_code(*texts, names=("Bash",)) for texts in (long, (summary,))]
    with make() as client:
        for body in bodies:
            first = body["messages"][0]
            content = first["content"]
            text = [{"type": "text", "text": content}] if isinstance(content, str) else content
            first["content"] = [reminder, *text]
            client.ask("/v1/messages", body, **IN_CLAUDE_CODE)

    assert [("cold", None), ("compaction", None)] == client.misses()


def test_a_subagent(make: Callable[..., Client]) -> None:
    """A subagent's conversation is separate from the main one, which still hits the cache."""
    agent: dict[str, Any] = {"system": "You are an agent. ", "names": ("Read",)}
    with make() as client:
        client.ask("/v1/messages", claude_code(QUESTION), **IN_CLAUDE_CODE)
        client.ask("/v1/messages", claude_code("Find it. " * 90, **agent), **IN_CLAUDE_CODE)
        client.ask("/v1/messages", claude_code(QUESTION, ANSWER, "Go on."), **IN_CLAUDE_CODE)

    assert [("cold", None), ("cold", None), (None, None)] == client.misses()


def test_many_subagents(make: Callable[..., Client]) -> None:
    """Ten subagents of the session do not hide the main conversation."""
    agent: dict[str, Any] = {"system": "You are an agent. ", "names": ("Read",)}
    with make() as client:
        client.ask("/v1/messages", claude_code(QUESTION), **IN_CLAUDE_CODE)
        for number in range(10):
            body = claude_code(f"Find {number}. " * 90, **agent)
            client.ask("/v1/messages", body, 1, **IN_CLAUDE_CODE)
        turns = (QUESTION, ANSWER, "Go on.")
        client.ask("/v1/messages", claude_code(*turns), 600, **IN_CLAUDE_CODE)

    assert ("ttl_expiry", "610 300") == client.misses()[-1]


def test_concurrent_requests(make: Callable[..., Client]) -> None:
    """A request cannot hit the cache of a request that has not been answered yet."""
    with make() as client:
        client.ask("/v1/messages", claude_code(QUESTION), **IN_CLAUDE_CODE)
        client.use_another_machine()
        client.ask("/v1/messages", claude_code(QUESTION), pause=-60, **IN_CLAUDE_CODE)

    assert [("cold", None), ("cold", None)] == client.misses()


def test_without_a_session(make: Callable[..., Client]) -> None:
    """Without a session, the first message identifies the conversation, even after a restart."""
    with make() as client:
        client.ask("/v1/responses", responses(QUESTION))
        client.ask("/v1/responses", responses("Something else. " * 200))
    with Client(client.simulator, client.settings, client.clock) as client:
        client.use_another_machine()
        client.ask("/v1/responses", responses(QUESTION, ANSWER, "Go on."))

    assert [("cold", None), ("cold", None), ("rerouted", None)] == client.misses()


def test_the_cache_key(make: Callable[..., Client]) -> None:
    """A conversation keeps its opaque cache key; a cache key from the client is passed on."""
    with make() as client:
        client.ask("/v1/responses", responses(QUESTION))
        client.ask("/v1/responses", responses(QUESTION, ANSWER, "Go on."))
        client.ask("/v1/responses", responses("Something else."))
        client.ask("/v1/responses", responses(QUESTION), **IN_CODEX)
        client.ask("/v1/responses", responses("Something else."), **IN_CODEX)
        client.ask("/v1/responses", responses(QUESTION, session="own"), **IN_CODEX)
        client.ask("/v1/messages", claude_code(QUESTION, model=GPT))
        client.ask("/v1/messages", claude_code(QUESTION))

    sent = [one.body for one in client.simulator.state.requests if "model" in (one.body or {})]
    one, same, other, session, same_session, own, translated, claude = (
        body.get("prompt_cache_key") for body in sent
    )
    assert one == same != other
    assert session == same_session != one
    assert "s-2" not in session
    assert 32 == len(one) == len(session) == len(translated)
    assert ("own", None) == (own, claude)


def test_no_text_is_stored(make: Callable[..., Client]) -> None:
    """Digests use this installation's own key, so equal texts have different digests elsewhere."""
    with make() as client:
        client.ask("/v1/responses", responses(QUESTION))
    stored = client.settings.ledger_file
    (before,) = digests(stored)
    assert b"conventions" not in stored.read_bytes()
    key = stored.with_name(NAME)
    assert 0o600 == key.stat().st_mode & 0o777
    key.unlink()
    with Client(client.simulator, client.settings, client.clock) as client:
        client.ask("/v1/responses", responses(QUESTION))

    one, other = digests(stored)
    assert len(one) == len(other)
    assert {before} == {one, other} & {before}


def digests(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT digests FROM prompts")]


def test_off_the_event_loop(make: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts are hashed in the ledger's thread; a prompt that cannot be hashed is recorded."""
    threads: list[str] = []

    def broken(api: str, body: Any) -> Any:
        threads.append(threading.current_thread().name)
        raise ValueError(api)

    monkeypatch.setattr("copilot_proxy.ledger.prompts.blocks", broken)
    with make() as client:
        client.ask("/v1/responses", responses(QUESTION))

    assert (["ledger"], [(None, None)]) == (threads, client.misses())


def later_instructions(turns: int, model: str) -> dict[str, Any]:
    """Return a chat request whose client adds a system message before each of the user's."""
    messages: list[dict[str, str]] = [{"role": "system", "content": WORDS * 150}]
    for number in range(turns):
        messages += [
            {"role": "system", "content": f"The time is 12:0{number}."},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": ANSWER},
        ]
    body = {"model": model, "reasoning_effort": "high", "max_tokens": 300}
    return {**body, "messages": messages[:-1]}


@pytest.mark.parametrize(
    ("model", "later"),
    [(CLAUDE, (None, None)), ("claude-opus-4.7", ("prefix_change", "system 4"))],
)
def test_later_system_messages(
    make: Callable[..., Client], model: str, later: tuple[str | None, str | None]
) -> None:
    """A client that adds system messages reads everything before them from the cache, unless the
    model only accepts them at the front."""
    with make() as client:
        for turns in (1, 2, 3):
            client.ask("/v1/chat/completions", later_instructions(turns, model), **IN_OPENCODE)

    _, second, third = client.rows()
    assert later == client.misses()[2]
    assert bool(third["cache_lost_nano_aiu"]) == (model != CLAUDE)
    assert (third["cache_read_tokens"] > second["cache_read_tokens"] + 500) == (model == CLAUDE)

"""System messages later in a conversation, from every client API to both kinds of Claude models."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.ollama.api import OLLAMA
from copilot_proxy.formats.prompt_blocks import blocks
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import check_with_simulator
from tests.formats.routes import claude, every_client, model_on, sent
from tests.formats.rules.asking import assistant, called, result, user

BETA: Final = "mid-conversation-system-2026-04-07"
MOVED: Final = (
    "moved a system message after the user message that follows it: Claude only accepts it there"
)
TO_THE_FRONT: Final = (
    "moved a later system message to the front: the model does not accept it elsewhere"
)
CONTINUE: Final = "Please continue."
ADDED: Final = f"added a user message ({CONTINUE}): Claude requires one before a system message"
NEW, OLD = claude("claude-opus-5"), claude("claude-sonnet-5")
translating = pytest.mark.parametrize("client", ["chat_completions", "responses"])


def system(text: str = "Be brief.") -> Json:
    return {"said": "system", "text": text}


def conversation(body: Json) -> list[tuple[str, str]]:
    """Return the role and the text, call or result of each block, after checking the body."""
    check_with_simulator(body, betas=select_betas([], body)[0])
    found = []
    for message in body["messages"]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [(message["role"], part.get("text") or part["type"]) for part in parts]
    return found


def front(body: Json) -> list[str]:
    given = body.get("system") or []
    return [given] if isinstance(given, str) else [block["text"] for block in given]


U, A, S, SAID = ("user", "Hi"), ("assistant", "a"), ("system", "Be brief."), assistant("a")


@every_client
@pytest.mark.parametrize(
    ("steps", "expected", "notes"),
    [
        ([user(), system()], [U, S], []),
        ([user(), system(), SAID, user()], [U, S, A, U], []),
        ([user(), SAID, system(), user()], [U, A, U, S], [MOVED]),
        ([user(), system(), user("b"), SAID, user()], [U, ("user", "b"), S, A, U], [MOVED]),
        (
            [user(), called(), result(), system()],
            [U, ("assistant", "tool_use"), ("user", "tool_result"), S],
            [],
        ),
        (
            [user(), called(), system(), result(), user("b")],
            [U, ("assistant", "tool_use"), ("user", "tool_result"), ("user", "b"), S],
            [MOVED],
        ),
        ([user(), SAID, system()], [U, A, ("user", CONTINUE), S], [ADDED]),
        (
            [user(), SAID, system(), assistant("b"), user()],
            [U, A, ("user", CONTINUE), S, ("assistant", "b"), U],
            [ADDED],
        ),
        (
            [user(), SAID, system(), user("b"), system("Be kind.")],
            [U, A, ("user", "b"), S, ("system", "Be kind.")],
            [MOVED],
        ),
    ],
)
def test_a_later_system_message_stays_in_the_conversation(
    client: str, steps: list[Json], expected: list[tuple[str, str]], notes: list[str]
) -> None:
    """The message stays where it is, or moves to the nearest later position that Claude accepts."""
    request = sent(client, NEW, *steps, system="Be kind.", tool="f", limit=4000)

    assert expected == conversation(request.body)
    assert ["Be kind."] == front(request.body)
    assert notes == [
        one for one in request.notes if one != "moved tool results next to their calls"
    ]
    assert BETA in request.headers["anthropic-beta"]


@translating
def test_consecutive_messages_are_merged(client: str) -> None:
    """Messages that become consecutive are merged, with tool results first."""
    steps = (user(), called(), result(), system("a"), user("b"), system("c"), SAID, user())

    body = sent(client, NEW, *steps, tool="f").body

    roles = [message["role"] for message in body["messages"]]
    assert ["user", "assistant", "user", "system", "assistant", "user"] == roles
    assert ["tool_result", "text"] == [one["type"] for one in body["messages"][2]["content"]]
    assert ["a", "c"] == [one["text"] for one in body["messages"][3]["content"]]


@translating
@pytest.mark.parametrize("model", [OLD, claude("claude-haiku-4.5", adaptive_thinking=False)])
def test_other_models_get_it_at_the_front(client: str, model: Model) -> None:
    """For other models, a later system message becomes part of the system prompt."""
    steps = (user(), SAID, system(), assistant("b"), system("Go."), user())

    request = sent(client, model, *steps, system="Be kind.", limit=4000)

    assert [U, A, ("assistant", "b"), U] == conversation(request.body)
    assert 3 == len(request.body["messages"])
    assert ["Be kind.", "Be brief.", "Go."] == front(request.body)
    assert [TO_THE_FRONT] == request.notes
    assert BETA not in request.headers.get("anthropic-beta", "")


def test_clients_of_messages_decide_for_other_models() -> None:
    """A client that speaks Claude's API gets what it asks for, since Copilot may accept it."""
    request = sent("messages", OLD, user(), system(), SAID, user())

    assert [U, S, A, U] == conversation(request.body)
    assert [] == request.notes
    assert BETA in request.headers["anthropic-beta"]


def from_ollama(model: Model, *steps: Json) -> PreparedRequest:
    messages = [{"role": step["said"], "content": step["text"]} for step in steps]
    body = {"model": model.id, "messages": messages, "options": {"num_predict": 99}}
    request = OLLAMA.parse(json.dumps(body).encode())
    return prepare(OLLAMA, request, model, ReasoningCache())


def test_ollama() -> None:
    """Ollama clients can also send system messages later in a conversation."""
    steps = (system("Be kind."), user(), SAID, system(), user())
    new, old = from_ollama(NEW, *steps), from_ollama(OLD, *steps)

    assert [U, A, U, S] == conversation(new.body)
    assert [U, A, U] == conversation(old.body)
    assert (["Be kind."], ["Be kind.", "Be brief."]) == (front(new.body), front(old.body))


@pytest.mark.parametrize(
    ("accepts", "ids"),
    [
        (True, ["fable-5", "fable-5.1", "fable-6", "mythos-1", "opus-4.8", "opus-5", "opus-5.5"]),
        (True, ["haiku-5.5", "sonnet-5.5", "sonnet-6", "haiku-6.1", "opus-10"]),
        (False, ["haiku-4.5", "sonnet-4.6", "sonnet-5", "opus-4.7", "opus-41", "haiku-5"]),
    ],
)
def test_which_models_accept_it(accepts: bool, ids: list[str]) -> None:
    """Newer versions of a family inherit what the family accepts."""
    found = [profile_of(claude(f"claude-{id}"), "messages") for id in ids]

    assert [accepts] * len(ids) == [profile.system_in_conversation for profile in found]
    assert not profile_of(None, "messages").system_in_conversation


TURNS: Final[dict[str, Callable[[str], list[Json]]]] = {
    "before the user's message": lambda n: [system(f"s{n}"), user(f"u{n}"), assistant(f"a{n}")],
    "after it": lambda n: [user(f"u{n}"), system(f"s{n}"), assistant(f"a{n}")],
    "after the results": lambda n: [
        *(user(f"u{n}"), called(n), result(n), system(f"s{n}")),
        assistant(f"a{n}"),
    ],
    "before the results": lambda n: [
        *(user(f"u{n}"), called(n), system(f"s{n}"), result(n)),
        assistant(f"a{n}"),
    ],
    "after the answer": lambda n: [user(f"u{n}"), assistant(f"a{n}"), system(f"s{n}")],
}


MODELS: Final = (
    NEW,
    model_on("messages", "claude-fable-5.1", "Anthropic"),
    model_on("chat_completions", "claude-sonnet-4.6", "Anthropic"),
    model_on("chat_completions", "gpt-4o"),
    model_on("responses", "gpt-6.1"),
    model_on("chat_completions", "gemini-2.5-pro", "Google"),
    model_on("chat_completions", "kimi-k3", "Moonshot AI"),
)


def requests(
    client: str, turn: Callable[[str], list[Json]], model: Model = NEW
) -> Iterable[PreparedRequest]:
    """Yield the requests of a conversation, one for each of the assistant's messages."""
    steps = [user("start"), assistant("ok"), *(step for n in "123" for step in turn(n))]
    for end, step in enumerate(steps):
        if step["said"] in ("assistant", "call"):
            yield sent(client, model, *steps[:end], system="Be kind.", tool="f")


@every_client
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_cached_prefix_survives(
    client: str, turn: Callable[[str], list[Json]], model: Model
) -> None:
    """Each request starts with the whole prompt of the one before."""
    prompts = [list(blocks(one.api.name, one.body)) for one in requests(client, turn, model)]

    assert len(prompts) in (4, 7)
    for earlier, later in pairwise(prompts):
        assert earlier == later[: len(earlier)]
        assert len(earlier) < len(later)


@translating
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_the_marks_are_where_the_next_request_reads(
    client: str, turn: Callable[[str], list[Json]]
) -> None:
    """The last user message is marked again in the next request, which reads it from the cache."""
    ends: list[str] = []
    for request in requests(client, turn):
        body = request.body
        marked = [one for one in body["messages"] if "cache_control" in one["content"][-1]]
        users = [one for one in body["messages"] if one["role"] == "user"]
        assert users[-2:] == marked
        assert not ends or ends[-1] in map(json.dumps, marked)
        assert 4 >= json.dumps(body).count('"cache_control"')
        ends.append(json.dumps(marked[-1]))


@translating
def test_a_system_message_that_is_not_repeated(client: str) -> None:
    """The next request reads everything before the omitted system message from the cache."""
    steps = (user(), SAID, user("b"))
    first = sent(client, NEW, *steps, system(), tool="f").body
    second = sent(client, NEW, *steps, called(), result(), system(), tool="f").body

    marked = [one for one in first["messages"] if "cache_control" in one["content"][-1]]
    assert first["messages"].index(marked[-1]) == second["messages"].index(marked[-1]) == 2

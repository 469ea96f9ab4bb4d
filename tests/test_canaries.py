"""Nothing that the vendors' SDKs can send is lost silently, on any route.

If this fails after an update of an SDK, translate the new part or field, refuse it, or add a note.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import pytest
from anthropic.types.beta import BetaMessageParam, BetaToolParam
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from openai.types.responses import ResponseInputItemParam, ToolParam

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.types import Json
from tests.canaries import Marker, Walk, found_in
from tests.formats.routes import APIS, prepared
from tests.sdk_fields import models

MESSAGES: Final[dict[str, Any]] = {
    "chat_completions": ChatCompletionMessageParam,
    "responses": ResponseInputItemParam,
    "messages": BetaMessageParam,
}
TOOLS: Final[dict[str, Any]] = {
    "chat_completions": ChatCompletionToolUnionParam,
    "responses": ToolParam,
    "messages": BetaToolParam,
}
QUIET: Final = re.compile(
    r"\.(id|\w+_id|fingerprint)$"  # ids
    r"|\.(encrypted_\w+|signature)$|<redacted_thinking>\.data$"  # only the vendor can read it
    r"|\.toolset_name$"  # a group of Anthropic's own tools, which are refused
    r"|<json_schema>\.name$"  # Claude's output formats have no name
    r"|<(user|system)>.*\.citations\[\]"  # only answers have citations
)
"""The fields that mean nothing to the model."""
LOSS: Final = ("dropped ", "changed ", "removed ")
"""The beginnings of notes about losses."""


def _values(api: str) -> Iterator[tuple[Json, dict[str, str]]]:
    """Yield the requests of a client API, each with the places of its canaries."""
    for kind in get_args(MESSAGES[api]):
        for message in Walk().values(kind):
            marker = Marker()
            yield {_root(api): _conversation(api, marker.marked(message))}, marker.places
    for tool in Walk().values(TOOLS[api]):
        marker = Marker()
        yield {_root(api): _conversation(api), "tools": [marker.marked(tool)]}, marker.places


def _root(api: str) -> str:
    return "input" if api == "responses" else "messages"


def _conversation(api: str, message: Json | None = None) -> list[Json]:
    user = {"role": "user", "content": "Hi"}
    if message is None:
        return [user]
    call_id = message.get("tool_call_id") or message.get("call_id")
    if message.get("role") == "tool":
        function = {"name": "f", "arguments": "{}"}
        call: Json = {"id": call_id, "type": "function", "function": function}
        return [user, {"role": "assistant", "tool_calls": [call]}, message]
    if str(message.get("type")).endswith("function_call_output"):
        call = {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}
        return [user, call, message]
    content = message.get("content")
    blocks = content if api == "messages" and isinstance(content, list) else []
    results = [one for one in blocks if one["type"] == "tool_result"]
    calls = [
        {"type": "tool_use", "id": one["tool_use_id"], "name": "f", "input": {}} for one in results
    ]
    return [user, {"role": "assistant", "content": calls or "Well."}, message, user]


@pytest.mark.parametrize("route", ["chat_completions", "responses", "messages"])
@pytest.mark.parametrize("api", APIS)
def test_no_text_is_lost(api: str, route: str) -> None:
    """Each text is sent, mentioned in a note, or refused."""
    model = models()[route]
    limit = {"max_tokens": 4000} if api == "messages" else {}
    lost, count = set(), 0
    for fields, places in _values(api):
        try:
            request = prepared(api, model, {"model": model.id, **limit, **fields})
        except RequestError:
            continue
        count += len(places)
        for canary in places.keys() - found_in(request.body):
            is_noted = any(note.startswith(LOSS) for note in request.notes)
            if not is_noted and not QUIET.search(places[canary]):
                lost.add(places[canary])

    assert set() == lost
    assert count > 50

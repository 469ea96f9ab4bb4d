"""The output items of an answer in the Responses API; their ids change from event to event."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from .catalogue import gpt_version
from .conversation import Reply, ToolCall
from .opaque_strings import OpaqueStrings
from .script import REFUSAL
from .types import Item, Json, Model, Part, Quirks, ResponsesRequest

FIRST_WITH_PHASES = 5.3
"""The first GPT version that marks which text is the final answer."""


@dataclass
class ResponseFacts:
    """The data for creating an answer."""

    model: Model
    reply: Reply
    body: ResponsesRequest
    opaque_strings: OpaqueStrings
    quirks: Quirks = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    call_ids: list[str] = field(default_factory=list)
    search_id: str = field(default_factory=lambda: "call_" + secrets.token_hex(12))

    def __post_init__(self) -> None:
        self.call_ids = ["call_" + secrets.token_hex(12) for _ in self.reply.calls]

    def new_id(self) -> str:
        """Return a new encrypted id, which is long and has no prefix."""
        return self.opaque_strings.make("item", 200 + secrets.randbelow(200))

    @property
    def encrypted(self) -> Json:
        """The encrypted reasoning, if the request asks for it."""
        if "reasoning.encrypted_content" not in (self.body.get("include") or []):
            return {}
        return {"encrypted_content": self.opaque_strings.make(f"encrypted {self.model['id']}", 240)}

    @property
    def summary(self) -> list[Part]:
        """The summary of the reasoning, if the request asks for one."""
        if not (self.body.get("reasoning") or {}).get("summary"):
            return []
        return [{"type": "summary_text", "text": self.reply.reasoning}]

    @property
    def incomplete(self) -> str | None:
        """Why the answer is incomplete, or None if it is complete."""
        if "content_filter" in self.quirks:
            return "content_filter"
        return "max_output_tokens" if self.reply.finish == "length" else None

    @property
    def phase(self) -> Json:
        """The field ``phase``, commentary or final answer. Empty if the model does not set it."""
        if not has_phases(self.model):
            return {}
        return {"phase": "commentary" if self.reply.calls else "final_answer"}


def has_phases(model: Model) -> bool:
    """Return whether the model marks its text as commentary or final answer."""
    return gpt_version(model) >= FIRST_WITH_PHASES


def output(facts: ResponseFacts) -> list[Item]:
    """Return all output items, with new ids."""
    reply = facts.reply
    found: list[Item] = []
    if "compaction" in facts.quirks:
        sealed = facts.opaque_strings.make(f"encrypted {facts.model['id']}", 240)
        found.append({"id": facts.new_id(), "type": "compaction", "encrypted_content": sealed})
    if reply.reasoning:
        found.append(
            {"id": facts.new_id(), "type": "reasoning", "summary": facts.summary, **facts.encrypted}
        )
    part: Part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    if reply.finish == "refusal":
        part = {"type": "refusal", "refusal": REFUSAL}
    if reply.finish == "refusal" or (reply.text and "wordless" not in facts.quirks):
        status = "incomplete" if facts.incomplete else "completed"
        found.append(
            {
                "id": facts.new_id(),
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [part],
                **facts.phase,
            }
        )
    found += _search(facts)
    for call, call_id in zip(reply.calls, facts.call_ids, strict=True):
        found.append({"id": facts.new_id(), **_call(call), "call_id": call_id})
    return found


def _search(facts: ResponseFacts) -> list[Item]:
    """Return the items of the tool search: the call and, if the server ran it, the output."""
    search = facts.reply.search
    if search is None:
        return []
    common: Json = {
        "call_id": facts.search_id if search.client else None,
        "execution": "client" if search.client else "server",
        "status": "completed",
    }
    call = {"id": facts.new_id(), "type": "tool_search_call", **common}
    found = [{**call, "arguments": search.arguments}]
    if not search.client:
        output = {"id": facts.new_id(), "type": "tool_search_output", **common}
        found.append({**output, "tools": search.found})
    return found


def _call(call: ToolCall) -> Item:
    """Return the output item of a call, without ids."""
    group = {"namespace": call.namespace} if call.namespace else {}
    if call.custom:
        return {
            "type": "custom_tool_call",
            "name": call.name,
            "input": call.arguments,
            "status": "completed",
            **group,
        }
    return {
        "type": "function_call",
        "name": call.name,
        "arguments": call.arguments or "{}",
        "status": "completed",
        **group,
    }

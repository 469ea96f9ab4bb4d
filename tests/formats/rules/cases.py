"""For every rule: a request that needs it, and a check that it was applied."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter
from typing import Final

from copilot_proxy.formats.types import Json
from tests.formats.rules.asking import (
    CLIENTS,
    assistant,
    body_of,
    budget,
    called,
    effort,
    forced,
    ids,
    is_json,
    is_object,
    limit,
    result,
    said,
    schemas,
    stops,
    thinks,
    turns,
    user,
)
from tests.selection import covering

CLAUDE: Final = ("claude-sonnet-4.5", "claude-opus-5")
"""A model served on both Chat Completions and Messages, and one served only on Messages."""
GPT: Final = ("gpt-4o", "gpt-5.4")
"""A model served on Chat Completions, and one served on Responses."""
ALL: Final = (*GPT, *CLAUDE, "gemini-2.5-pro")
ALWAYS_THINKS: Final = "claude-opus-5.5"
KIMI: Final = "kimi-k3"
"""Models missing from the simulator's catalogue, which the test adds."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request for some models, from each client API that can express it."""

    models: tuple[str, ...]
    broken: Callable[[Json], bool]
    """Returns whether a model would refuse this body for Copilot."""
    steps: tuple[Json, ...] = ()
    options: Json = field(default_factory=dict)
    own: dict[str, Json] = field(default_factory=dict)
    """Additional fields, by client API."""
    clients: tuple[str, ...] = tuple(CLIENTS)
    note: str = ""
    bites: Callable[[str, str], bool] = lambda client, route: True
    """Returns whether the rule matters for a client's request on a Copilot API.

    On other APIs, the translation already leaves the field out.
    """

    def body(self, client: str, model: str) -> Json:
        """Return the request in the format of `client`."""
        body = body_of(client, *self.steps, **self.options)
        return {"model": model, **body, **self.own.get(client, {})}


def screenshots(image: Json) -> list[Json]:
    """Return a conversation with an image in each of 21 turns."""
    turn: list[Json] = [
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": "Seen."},
    ]
    return [*turn * 20, turn[0]]


def illustrated(image: Json) -> list[Json]:
    """Return a conversation in which the assistant has answered with an image."""
    return [
        {"role": "user", "content": "Draw a cat."},
        {"role": "assistant", "content": [image]},
        {"role": "user", "content": "What is that?"},
    ]


def _dumped(text: str) -> Callable[[Json], bool]:
    return lambda body: text in json.dumps(body)


def _on(*routes: str) -> Callable[[str, str], bool]:
    return lambda client, route: route in routes


LATER: Final = {"said": "system", "text": "Be brief."}
LONG_ID: Final = "functions.f:0" + "x" * 70
MANY: Final = [f"c{number}" for number in range(130)]
BREAKPOINT: Final = {"text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}
MARK: Final = {"type": "ephemeral", "scope": "global"}
EAGER: Final = {"name": "f", "input_schema": {"type": "object"}, "eager_input_streaming": True}
CLAUDES: Final = ("claude-opus-4.7", "claude-opus-5", "claude-sonnet-5")
SAMPLED: Final = ("gpt-5.4", "gpt-5-mini", *CLAUDES, KIMI)
NULLABLE: Final = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
ORIGINAL: Final = {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "original"}
PICTURE: Final = ORIGINAL["url"].partition(",")[2]
CHAT_IMAGE: Final = {"type": "image_url", "image_url": {"url": ORIGINAL["url"]}}
MESSAGES_IMAGE: Final = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
}
WRONG_TYPE: Final = ORIGINAL["url"].replace("png", "jpeg")
WRONG_TYPE_IMAGE: Final = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/jpeg", "data": PICTURE},
}
COMBINED: Final = {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
REFERRING: Final = {
    "type": "object",
    "properties": {"a": {"$ref": "#/definitions/A"}},
    "definitions": {"A": {"type": "string"}},
}
CHAT: Final = ("chat_completions",)
OPENAIS: Final = ("chat_completions", "responses")
STOPPING: Final = ("chat_completions", "messages")
SCHEMA: Final = {"type": "json_schema", "schema": {"type": "object"}}
OPEN: Final = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
CONSTRAINED: Final = {
    "type": "json_schema",
    "schema": {
        "type": "object",
        "properties": {"a": {"oneOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}},
    },
}


def _marked(client: str) -> list[Json]:
    name = "cache_control" if client == "messages" else "copilot_cache_control"
    if client == "messages":
        blocks = [{"type": "text", "text": str(i), name: MARK} for i in range(5)]
        return [{"role": "user", "content": blocks}]
    return [{"role": "user", "content": str(i), name: MARK} for i in range(5)]


FLAT: Final = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
BOXED: Final = {"type": "function", "function": {"name": "f"}}
RESPONSES: Final = ("responses",)
OLD: Final = ("gpt-5.1",)
"""Models that Copilot serves on Responses, and that only support functions there."""

OWN: Final = {"own_field": 1}
"""A program's own field, which some programs keep in the messages that they store."""

CASES: Final[dict[str, Case]] = {
    "fields.refused": Case(
        models=("gpt-5.4", *CLAUDE, "gemini-2.5-pro"),
        options={"not_yet_known": 1},
        broken=lambda body: "not_yet_known" in body,
        note="dropped not_yet_known",
        bites=lambda client, route: client == route,
    ),
    "fields.nested": Case(
        models=("claude-sonnet-4.5", "gemini-2.5-pro"),
        clients=CHAT,
        own={
            "chat_completions": {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Hi", **OWN}], **OWN},
                    {
                        "role": "assistant",
                        "content": "a",
                        "tool_calls": [
                            {
                                "id": "a",
                                "type": "function",
                                "function": {"name": "f", "arguments": "{}", **OWN},
                                **OWN,
                            }
                        ],
                    },
                    {"role": "tool", "tool_call_id": "a", "content": "b", **OWN},
                ],
            },
        },
        broken=_dumped('"own_field"'),
        note="dropped own_field from some messages",
    ),
    "fields.prediction": Case(
        models=("gpt-4o",),
        clients=CHAT,
        options={"prediction": {"type": "content", "content": ""}},
        broken=lambda body: "prediction" in body,
        note="dropped prediction",
    ),
    "fields.parallel_calls": Case(
        models=("gpt-4-0613",),
        options={"tool": "f", "parallel_tool_calls": True},
        broken=lambda body: "parallel_tool_calls" in body,
        note="dropped parallel_tool_calls",
    ),
    "fields.stream": Case(
        models=("mai-code-1",),
        options={"stream": True},
        broken=lambda body: body["stream"] is True,
    ),
    "tools.additional": Case(
        models=OLD,
        clients=RESPONSES,
        own={
            "responses": {
                "input": [
                    {"type": "additional_tools", "role": "developer", "tools": [FLAT]},
                    {"role": "user", "content": "Hi"},
                ]
            }
        },
        broken=_dumped("additional_tools"),
        note="moved additional_tools",
    ),
    "tools.search": Case(
        models=OLD,
        clients=RESPONSES,
        own={"responses": {"tools": [{"type": "tool_search"}, {**FLAT, "defer_loading": True}]}},
        broken=lambda body: "tool_search" in str(body) or "defer_loading" in str(body),
        note="dropped tool_search",
    ),
    "tools.namespaces": Case(
        models=OLD,
        clients=RESPONSES,
        own={"responses": {"tools": [{"type": "namespace", "name": "n", "tools": [FLAT]}]}},
        broken=_dumped("namespace"),
        note="changed namespaces",
    ),
    "tools.custom": Case(
        models=("gpt-4o", "gpt-5.1", "claude-sonnet-4.5", "gemini-2.5-pro"),
        clients=OPENAIS,
        own={
            "chat_completions": {"tools": [{"type": "custom", "custom": {"name": "p"}}]},
            "responses": {"tools": [{"type": "custom", "name": "p"}]},
        },
        broken=_dumped("custom"),
        note="changed custom tools",
    ),
    "tools.allowed": Case(
        models=("gpt-4o", "gpt-5.4", "claude-sonnet-4.5", "gemini-2.5-pro"),
        clients=OPENAIS,
        options={"tool": "f"},
        own={
            "chat_completions": {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [BOXED]},
                }
            },
            "responses": {
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [FLAT]}
            },
        },
        broken=_dumped("allowed_tools"),
    ),
    "tools.names": Case(
        models=ALL,
        options={"tool": "with.dots"},
        broken=_dumped("with.dots"),
        note="renamed tool with.dots",
    ),
    "tools.schemas": Case(
        models=ALL,
        options={"tool": "f", "schema": {"properties": {"a": {"type": "string"}}}},
        broken=lambda body: any(one.get("type") != "object" for one in schemas(body)),
    ),
    "tools.combined": Case(
        models=(*GPT, *CLAUDE),
        options={"tool": "f", "schema": COMBINED},
        broken=_dumped("oneOf"),
        note="changed the schema of tool f",
    ),
    "tools.values": Case(
        models=GPT,
        options={"tool": "f", "schema": {"type": "object", "not": {"required": ["a", "b"]}}},
        broken=_dumped('"not"'),
        note="changed the schema of tool f",
    ),
    "tools.unions": Case(
        models=("gemini-2.5-pro",),
        options={"tool": "f", "schema": NULLABLE},
        broken=_dumped('["string", "null"]'),
        note="changed the schema of tool f",
    ),
    "tools.references": Case(
        models=(KIMI,),
        options={"tool": "f", "schema": REFERRING},
        broken=_dumped("#/definitions/"),
        note="changed the schema of tool f",
    ),
    "tools.validated": Case(
        models=(*GPT, "gemini-2.5-pro"),
        options={"tool": "f"},
        own={
            "chat_completions": {"tool_choice": "validated"},
            "responses": {"tool_choice": "validated"},
            "messages": {"tool_choice": {"type": "validated"}},
        },
        broken=lambda body: body["tool_choice"] == "validated",
        note="validated to auto",
    ),
    "tools.numbers": Case(
        models=(KIMI,),
        steps=(user(), called("toolu_1"), result("toolu_1")),
        broken=_dumped("toolu_1"),
        note="to numbered ids",
    ),
    "tools.eager_input": Case(
        models=("claude-haiku-4.5",),
        clients=("messages",),
        own={"messages": {"tools": [EAGER]}},
        broken=_dumped("eager_input_streaming"),
        note="dropped eager_input_streaming",
    ),
    "tools.duplicate_ids": Case(
        models=ALL,
        steps=(user(), *2 * (called(), result(), user())),
        broken=lambda body: len(set(ids(body))) < 4,
        note="that several tool calls share",
    ),
    "tools.split_calls": Case(
        models=("gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"),
        steps=(user(), called(*MANY), *(result(id) for id in MANY), user()),
        broken=lambda body: any(len(one.get("tool_calls") or ()) > 128 for one in turns(body)),
        note="split an assistant message with 130 tool calls",
        bites=lambda client, route: route == "chat_completions",
    ),
    "tools.properties": Case(
        models=CLAUDE,
        steps=(user(), called(arguments='{"$top": 1}'), result()),
        options={
            "tool": "f",
            "schema": {
                "type": "object",
                "properties": {"$top": {"type": "integer"}, "b": {}},
                "required": ["$top"],
            },
        },
        broken=_dumped("$top"),
        note="renamed tool parameters: $top of f to top",
    ),
    "tools.ids": Case(
        models=(*GPT, *CLAUDE, "mai-code-1"),
        steps=(user(), called(LONG_ID), result(LONG_ID)),
        broken=_dumped(LONG_ID),
        note="changed ids of tool calls",
    ),
    "tools.invalid_arguments": Case(
        models=ALL,
        steps=(user(), called(arguments='{"a": 1'), result()),
        broken=lambda body: not all(is_json(a) for who, a in said(body) if who == "call"),
        bites=_on("chat_completions", "responses"),
    ),
    "tools.object_arguments": Case(
        models=(*CLAUDE, "gemini-2.5-pro"),
        steps=(user(), called(arguments="42"), result()),
        broken=lambda body: not all(is_object(a) for who, a in said(body) if who == "call"),
        note="they are not an object",
    ),
    "texts.blank": Case(
        models=(*CLAUDE, "gemini-2.5-pro"),
        steps=(user(), assistant(" \n"), user("x")),
        broken=lambda body: any(not text.strip() for _, text in said(body)),
    ),
    "images.types": Case(
        models=ALL,
        own={
            "chat_completions": {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": WRONG_TYPE}}],
                    }
                ]
            },
            "responses": {
                "input": [
                    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                    {
                        "type": "function_call_output",
                        "call_id": "a",
                        "output": [{"type": "input_image", "image_url": WRONG_TYPE}],
                    },
                ]
            },
            "messages": {
                "messages": [
                    {"role": "user", "content": [WRONG_TYPE_IMAGE]},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}],
                    },
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "a",
                                "content": [WRONG_TYPE_IMAGE],
                            }
                        ],
                    },
                ]
            },
        },
        broken=_dumped("image/jpeg"),
        note="changed the type of images from image/jpeg to image/png, their actual type",
    ),
    "images.detail": Case(
        models=("claude-sonnet-4.5", "gemini-2.5-pro", KIMI),
        clients=OPENAIS,
        own={
            "chat_completions": {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": ORIGINAL}],
                    }
                ]
            },
            "responses": {
                "input": [
                    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                    {
                        "type": "function_call_output",
                        "call_id": "a",
                        "output": [
                            {
                                "type": "input_image",
                                "image_url": ORIGINAL["url"],
                                "detail": "original",
                            }
                        ],
                    },
                ]
            },
        },
        broken=_dumped('"original"'),
        note="from original to high",
    ),
    "images.maximum": Case(
        models=("claude-opus-5", "gemini-2.5-pro"),
        clients=STOPPING,
        own={
            "chat_completions": {"messages": screenshots(CHAT_IMAGE)},
            "messages": {"messages": screenshots(MESSAGES_IMAGE)},
        },
        broken=lambda body: json.dumps(body).count(PICTURE) > (10 if "gemini" in str(body) else 20),
        note="earlier images with text: the model accepts at most",
    ),
    "turns.media": Case(
        models=ALL,
        own={
            "chat_completions": {"messages": illustrated(CHAT_IMAGE)},
            "responses": {"input": illustrated({"type": "input_image", "image_url": WRONG_TYPE})},
            "messages": {"messages": illustrated(MESSAGES_IMAGE)},
        },
        broken=lambda body: any(
            isinstance(turn.get("content"), list)
            and any("image" in part["type"] for part in turn["content"])
            for turn in turns(body)
            if turn.get("role") == "assistant"
        ),
        note="moved images or files from an assistant message to a user message",
    ),
    "turns.consecutive": Case(
        models=("gemini-3-flash-preview",),
        # Responses items are already merged by the translation to messages.
        clients=STOPPING,
        steps=(user(), assistant("a"), assistant("b"), user()),
        broken=lambda body: ["assistant"] * 2 == [who for who, _ in said(body)[1:3]],
        note="merged consecutive",
    ),
    "tools.results": Case(
        models=ALL,
        steps=(user(), called(), user("wait")),
        broken=lambda body: "result" not in [who for who, _ in said(body)],
        note="a tool call that had none",
    ),
    "tools.signatures": Case(
        models=("gemini-3-flash-preview", "gemini-4-argon"),
        steps=(user(), assistant("Let me see."), called(), result(), called("b"), result("b")),
        broken=_dumped("tool_calls"),
        note="changed the current turn's tool calls to text",
    ),
    "turns.first": Case(
        models=CLAUDE,
        steps=(assistant("Hello"), user()),
        broken=lambda body: said(body)[0][0] == "assistant",
        note="Please begin.",
    ),
    "turns.system_first": Case(
        models=("claude-opus-4.7", "claude-sonnet-5"),
        clients=OPENAIS,  # clients of Messages are assumed to know what the model accepts
        steps=(user(), LATER, assistant("a"), user()),
        options={"effort": "high"},  # because only Messages has all efforts
        broken=lambda body: "system" in [turn["role"] for turn in turns(body)],
        note="moved a later system message to the front",
    ),
    "turns.system": Case(
        models=("claude-opus-5", ALWAYS_THINKS),
        steps=(user(), assistant("a"), LATER, user()),
        broken=lambda body: [turn["role"] for turn in turns(body)][2] == "system",
        note="moved a system message after the user message",
    ),
    "turns.only": Case(
        models=("gemini-2.5-pro",),
        clients=("chat_completions",),
        steps=({"said": "system", "text": "Say hi."},),
        broken=lambda body: not said(body),
        note="Please continue.",
    ),
    "turns.last": Case(
        models=CLAUDE,
        steps=(user(), assistant("Hel")),
        broken=lambda body: said(body)[-1][0] == "assistant",
        note="Please continue.",
    ),
    "stops.blank": Case(
        models=CLAUDE,
        clients=("messages",),
        options={"stops": [" ", "END"]},
        broken=lambda body: " " in stops(body),
        note="dropped a blank stop sequence",
    ),
    "output_limit.invalid": Case(
        models=ALL,
        clients=OPENAIS,
        options={"limit": -1},
        broken=lambda body: limit(body) is not None and limit(body) < 1000,
        note="-1 is not a valid limit",
    ),
    "output_limit.name": Case(
        models=("gpt-5-mini",),
        options={"limit": 500},
        broken=lambda body: "messages" in body and "max_tokens" in body,
        bites=lambda client, route: route == "chat_completions",
    ),
    "output_limit.default": Case(
        models=CLAUDE, clients=OPENAIS, broken=lambda body: limit(body) is None
    ),
    "output_limit.minimum": Case(
        models=("gpt-5.4",),
        options={"limit": 5},
        broken=lambda body: limit(body) < 16,
        note="from 5 to 16",
    ),
    "output_limit.maximum": Case(
        models=ALL,
        options={"limit": 10**6},
        broken=lambda body: limit(body) == 10**6,
        note="the model's limit",
    ),
    "output_limit.stream": Case(
        models=CLAUDE,
        options={"limit": 20_000},
        broken=lambda body: body.get("stream") is not True,
    ),
    "output.schema": Case(
        models=("claude-sonnet-4.5",),
        clients=("messages",),
        own={"messages": {"output_config": {"format": SCHEMA}}},
        broken=lambda body: "output_config" in body,
        note="changed output_config.format",
    ),
    "output.closed": Case(
        models=("claude-opus-5",),
        own={
            "chat_completions": {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": OPEN["schema"]},
                }
            },
            "responses": {"text": {"format": {**OPEN, "name": "a"}}},
            "messages": {"output_config": {"format": OPEN}},
        },
        broken=lambda body: "additionalProperties" not in json.dumps(body),
    ),
    "output.constraints": Case(
        models=("claude-opus-5",),
        own={
            "chat_completions": {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": CONSTRAINED["schema"]},
                }
            },
            "responses": {"text": {"format": {**CONSTRAINED, "name": "a"}}},
            "messages": {"output_config": {"format": CONSTRAINED}},
        },
        broken=lambda body: '"maxLength"' in json.dumps(body) or "oneOf" in json.dumps(body),
        note="to the descriptions",
    ),
    "thinking.effort": Case(
        models=("claude-opus-5", "claude-sonnet-4.6"),
        clients=OPENAIS,
        options={"effort": "high"},
        broken=lambda body: not thinks(body),
        bites=_on("messages"),
    ),
    "tools.forced": Case(
        models=(ALWAYS_THINKS,),
        options={"tool": "f", "forced": True},
        broken=forced,
        note="changed tool_choice",
    ),
    "thinking.forced_tool": Case(
        models=("claude-sonnet-4.6",),
        options={"tool": "f", "forced": True, "effort": "high"},
        broken=lambda body: thinks(body) and forced(body),
        note="when tool_choice forces a tool",
    ),
    "thinking.mid_turn": Case(
        models=("claude-sonnet-4.5",),
        clients=("messages",),
        steps=(user(), called(), result()),
        options={"budget": 2000},
        broken=thinks,
        note="began without it",
    ),
    "thinking.none": Case(
        models=("gpt-4o",),
        clients=CHAT,
        options={"budget": 2000},
        broken=thinks,
        note="dropped thinking_budget",
    ),
    "thinking.form": Case(
        models=("claude-opus-5",),
        clients=STOPPING,
        options={"budget": 2000},
        broken=lambda body: budget(body) is not None,
        note="the model does not accept a budget",
    ),
    "thinking.budget": Case(
        models=("claude-sonnet-4.5",),
        clients=STOPPING,
        options={"budget": 100},
        broken=lambda body: budget(body) < 1024,
        note="from 100 to 1024",
    ),
    "thinking.always": Case(
        models=(ALWAYS_THINKS,),
        broken=lambda body: body.get("thinking", {}).get("type") != "adaptive",
    ),
    "thinking.display": Case(
        models=("claude-opus-5",),
        own={
            "chat_completions": {"reasoning_effort": "high"},
            "responses": {"reasoning": {"effort": "high", "summary": "auto"}},
            "messages": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        },
        broken=lambda body: body["thinking"].get("display") != "summarized",
    ),
    "thinking.binding": Case(
        models=(ALWAYS_THINKS,),
        broken=lambda body: "block_binding" not in body["thinking"],
    ),
    "thinking.fields": Case(
        models=("claude-opus-5",),
        clients=STOPPING,
        own={one: {"thinking": {"type": "adaptive", "budget_tokens": 9}} for one in STOPPING},
        broken=lambda body: "budget_tokens" in body["thinking"],
        note="dropped thinking.budget_tokens",
    ),
    "effort": Case(
        models=("gpt-5.4", "gpt-5-mini", "claude-sonnet-4.6", "claude-opus-5", "gemini-3.5-flash"),
        options={"effort": "minimal"},
        broken=lambda body: effort(body) == "minimal",
        note="from minimal to",
    ),
    "sampling.fixed": Case(
        models=SAMPLED,
        options={"temperature": 0.5},
        broken=lambda body: "temperature" in body,
        note="accepts only its default",
    ),
    "sampling.thinking": Case(
        models=("claude-sonnet-4.6",),
        options={"temperature": 0.5, "effort": "high"},
        broken=lambda body: "temperature" in body,
        note="with thinking",
    ),
    "sampling.one": Case(
        models=("claude-sonnet-4.5",),
        options={"temperature": 0.5, "top_p": 0.5},
        broken=lambda body: {"temperature", "top_p"} <= set(body),
        note="with temperature",
    ),
    "sampling.range": Case(
        models=("claude-sonnet-4",),
        options={"temperature": 1.5},
        broken=lambda body: body["temperature"] > 1,
        note="from 1.5 to 1",
    ),
    "cache.mark": Case(
        models=CLAUDE,
        clients=OPENAIS,
        steps=(user(), assistant("a"), user()),
        broken=lambda body: "cache_control" not in json.dumps(body),
    ),
    "cache.breakpoints": Case(
        models=("gpt-4o", "gpt-5.1", "claude-sonnet-4.5", "gemini-2.5-pro", KIMI),
        clients=OPENAIS,
        own={
            "chat_completions": {
                "messages": [{"role": "user", "content": [{"type": "text", **BREAKPOINT}]}]
            },
            "responses": {
                "input": [{"role": "user", "content": [{"type": "input_text", **BREAKPOINT}]}]
            },
        },
        broken=_dumped("prompt_cache_breakpoint"),
        bites=lambda client, route: route == client or route == "responses",
        note="dropped prompt_cache_breakpoint",
    ),
    "cache.reduce": Case(
        models=("claude-sonnet-4.5",),
        clients=STOPPING,
        own={client: {"messages": _marked(client)} for client in STOPPING},
        broken=_dumped('"scope"'),
        note="cache_control from some ",
    ),
}


def combinations() -> list[tuple[str, str, str]]:
    """Return every rule with each client and each model of its case, but not every combination."""
    return [
        (name, *pair)
        for name, case in CASES.items()
        for pair in covering(product(case.clients, case.models), itemgetter(0), itemgetter(1))
    ]

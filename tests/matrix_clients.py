"""Plain clients, one for each API, that write its requests and read its answers.

A conversation is a list of the API's own turns; an answer is sent back exactly as it came.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from copilot_proxy.formats.types import ClientRequest, ClientResponse, ErrorBody, Json
from tests import grammars

Turn = Json
"""A message in the conversation; an item, for Responses."""

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
TOOL: Final = "get_weather"
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
ABOUT: Final = "The weather of a city"


@dataclass(frozen=True)
class Call:
    """A tool call by the model."""

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Said:
    """An answer, independent of the API, except for `finish`."""

    text: str
    calls: list[Call]
    finish: str
    prompt: int
    """Tokens in the prompt, including cached tokens."""
    cached: int | None
    """None if the API does not report it."""
    answered: int
    turns: list[Turn]
    """The answer as it is sent back in the next request."""


@dataclass(frozen=True)
class Ask:
    """A request, independent of the API except for its turns."""

    model: str
    turns: list[Turn]
    system: str | None = None
    tools: bool = False
    limit: int | None = None
    stream: bool = False


class Client:
    """The common part of the clients."""

    api: str
    path: str
    endpoint: str | None
    """The path of the same API at Copilot, if there is one."""
    stopped: str
    called: str
    cut: str
    """The finish reasons of an answer that is complete, has calls, or reached the limit."""
    starts_late = False
    """Whether a stream begins with the first text, so that an earlier error has a status."""

    def path_of(self, ask: Ask) -> str:
        """Return the path to send a request to."""
        return self.path

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        """Return a user turn; `mark` requests caching where the API supports that."""
        raise NotImplementedError

    def assistant(self, text: str) -> list[Turn]:
        """Return a made-up assistant turn."""
        return [{"role": "assistant", "content": text}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        """Return the results of calls, by their ids."""
        raise NotImplementedError

    def body(self, ask: Ask) -> ClientRequest:
        """Return a request body."""
        raise NotImplementedError

    def read(self, body: ClientResponse) -> Said:
        """Return the content of a whole answer."""
        raise NotImplementedError

    def fold(self, text: str) -> ClientResponse:
        """Return the whole answer built from a stream; fail unless it follows the grammar."""
        raise NotImplementedError

    def check_error(self, body: ErrorBody) -> None:
        """Fail unless the body is an error in the API's shape."""
        error = body["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert error["message"], error

    def error(self, body: ErrorBody) -> Json:
        """Return the object of an error, with its code, message and hint."""
        error: Json = body["error"]
        return error

    def check_broken(self, text: str) -> None:
        """Fail unless a stream ends with an error, instead of like a complete stream."""
        raise NotImplementedError


class ChatClient(Client):
    """OpenAI's chat completions."""

    api = "chat_completions"
    path = "/v1/chat/completions"
    endpoint = "/chat/completions"
    stopped, called, cut = "stop", "tool_calls", "length"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        url = f"data:image/png;base64,{PNG}"
        picture = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": text}, picture] if image else text
        return [{"role": "user", "content": content}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        return [{"role": "tool", "tool_call_id": id, "content": text} for id, text in outputs]

    def body(self, ask: Ask) -> ClientRequest:
        head = [{"role": "system", "content": ask.system}] if ask.system else []
        function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
        body: ClientRequest = {"model": ask.model, "messages": [*head, *ask.turns]}
        if ask.tools:
            body["tools"] = [{"type": "function", "function": function}]
        if ask.limit:
            body["max_tokens"] = ask.limit
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def read(self, body: ClientResponse) -> Said:
        assert "chat.completion" == body["object"]
        (choice,) = body["choices"]
        message, usage = choice["message"], body["usage"]
        assert "assistant" == message["role"]
        return Said(
            message["content"] or "",
            [
                Call(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
                for c in message.get("tool_calls") or ()
            ],
            choice["finish_reason"],
            usage["prompt_tokens"],
            usage["prompt_tokens_details"]["cached_tokens"],
            usage["completion_tokens"],
            [message],
        )

    def fold(self, text: str) -> ClientResponse:
        return grammars.fold_chunks(grammars.chat_chunks(text))

    def check_broken(self, text: str) -> None:
        *chunks, last = grammars.chat_chunks(text)
        self.check_error(last)
        assert not any(chunk["choices"][0]["finish_reason"] for chunk in chunks)


class ResponsesClient(Client):
    """OpenAI's Responses."""

    api = "responses"
    path = "/v1/responses"
    endpoint = "/responses"
    stopped, called, cut = "completed", "completed", "max_output_tokens"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        url = f"data:image/png;base64,{PNG}"
        content: list[Turn] = [{"type": "input_text", "text": text}]
        if image:
            content.append({"type": "input_image", "image_url": url, "detail": "auto"})
        return [{"type": "message", "role": "user", "content": content}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        return [
            {"type": "function_call_output", "call_id": id, "output": text} for id, text in outputs
        ]

    def body(self, ask: Ask) -> ClientRequest:
        body: ClientRequest = {"model": ask.model, "input": ask.turns}
        if ask.system:
            body["instructions"] = ask.system
        if ask.tools:
            function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
            body["tools"] = [{"type": "function", **function}]
        if ask.limit:
            body["max_output_tokens"] = ask.limit
        if ask.stream:
            body["stream"] = True
        return body

    def read(self, body: ClientResponse) -> Said:
        assert "response" == body["object"]
        output, usage = body["output"], body["usage"]
        assert len(output) == len({item["id"] for item in output}), "each item has its own id"
        return Said(
            "".join(
                part["text"]
                for item in output
                if item["type"] == "message"
                for part in item["content"]
            ),
            [
                Call(item["call_id"], item["name"], json.loads(item["arguments"]))
                for item in output
                if item["type"] == "function_call"
            ],
            (body["incomplete_details"] or {}).get("reason") or body["status"],
            usage["input_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            usage["output_tokens"],
            output,
        )

    def fold(self, text: str) -> ClientResponse:
        events = grammars.responses_events(text)
        response = grammars.fold_response(events)
        said = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
        assert said == self.read(response).text, "the deltas make the text"
        return response

    def check_broken(self, text: str) -> None:
        *events, last = grammars.responses_events(text)
        assert not any(event["type"] in grammars.RESPONSES_ENDS for event in events)
        if last["type"] == "error":
            assert {"code", "message", "param"} <= set(last), last
            assert last["message"]
        else:
            assert ("response.failed", "failed") == (last["type"], last["response"]["status"])
            assert last["response"]["error"]["code"]
            assert last["response"]["error"]["message"]


class MessagesClient(Client):
    """Anthropic's Messages."""

    api = "messages"
    path = "/v1/messages"
    endpoint = "/v1/messages"
    stopped, called, cut = "end_turn", "tool_use", "max_tokens"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        words: Json = {"type": "text", "text": text}
        if mark:
            words["cache_control"] = {"type": "ephemeral"}
        pictures = [{"type": "image", "source": source}] if image else []
        return [{"role": "user", "content": [words, *pictures]}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        blocks = [
            {"type": "tool_result", "tool_use_id": id, "content": text} for id, text in outputs
        ]
        return [{"role": "user", "content": blocks}]

    def body(self, ask: Ask) -> ClientRequest:
        body: ClientRequest = {
            "model": ask.model,
            "max_tokens": ask.limit or 1000,
            "messages": ask.turns,
        }
        if ask.system:
            body["system"] = ask.system
        if ask.tools:
            body["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": SCHEMA}]
        if ask.stream:
            body["stream"] = True
        return body

    def read(self, body: ClientResponse) -> Said:
        assert ("message", "assistant") == (body["type"], body["role"])
        usage = body["usage"]
        cached = usage["cache_read_input_tokens"]
        return Said(
            "".join(block["text"] for block in body["content"] if block["type"] == "text"),
            [
                Call(block["id"], block["name"], block["input"])
                for block in body["content"]
                if block["type"] == "tool_use"
            ],
            body["stop_reason"],
            usage["input_tokens"] + usage["cache_creation_input_tokens"] + cached,
            cached,
            usage["output_tokens"],
            [{"role": "assistant", "content": body["content"]}],
        )

    def fold(self, text: str) -> ClientResponse:
        return grammars.fold_message(grammars.messages_events(text))

    def check_error(self, body: ErrorBody) -> None:
        assert "error" == body["type"]
        kind = body["error"]["type"]
        assert kind.endswith("_error") or kind == "request_too_large", body
        assert body["error"]["message"]
        assert len(body["request_id"]) > len("req_"), body

    def check_broken(self, text: str) -> None:
        *events, last = grammars.messages_events(text)
        self.check_error(last)
        assert not any(event["type"] in grammars.MESSAGES_ENDS for event in events)


class GeminiClient(Client):
    """Google's Gemini API, with a client that drops call ids, as older SDKs do."""

    api = "gemini"
    path = "/v1beta/models/{call}"
    endpoint = None
    stopped, called, cut = "STOP", "STOP", "MAX_TOKENS"
    starts_late = True

    def path_of(self, ask: Ask) -> str:
        method = "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
        return f"/v1beta/models/{ask.model}:{method}"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
        return [{"role": "user", "parts": [{"text": text}, *([picture] if image else [])]}]

    def assistant(self, text: str) -> list[Turn]:
        return [{"role": "model", "parts": [{"text": text}]}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        parts = [
            {"functionResponse": {"name": TOOL, "response": {"output": text}}}
            for _, text in outputs
        ]
        return [{"role": "user", "parts": parts}]

    def body(self, ask: Ask) -> ClientRequest:
        body: ClientRequest = {"contents": ask.turns}
        if ask.system:
            body["systemInstruction"] = {"parts": [{"text": ask.system}]}
        if ask.tools:
            function = {"name": TOOL, "description": ABOUT, "parametersJsonSchema": SCHEMA}
            body["tools"] = [{"functionDeclarations": [function]}]
        if ask.limit:
            body["generationConfig"] = {"maxOutputTokens": ask.limit}
        return body

    def read(self, body: ClientResponse) -> Said:
        (candidate,) = body["candidates"]
        usage = body["usageMetadata"]
        assert (0, "model") == (candidate["index"], candidate["content"]["role"])
        parts = candidate["content"]["parts"]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        kept = [
            {**part, "functionCall": {"name": call["name"], "args": call["args"]}}
            if (call := part.get("functionCall"))
            else part
            for part in parts
        ]
        return Said(
            "".join(p["text"] for p in parts if "text" in p and not p.get("thought")),
            [Call(call["id"], call["name"], call["args"]) for call in calls],
            candidate["finishReason"],
            usage["promptTokenCount"],
            usage.get("cachedContentTokenCount", 0),
            usage["candidatesTokenCount"],
            [{"role": "model", "parts": kept}],
        )

    def fold(self, text: str) -> ClientResponse:
        return grammars.fold_contents(grammars.gemini_events(text))

    def check_error(self, body: ErrorBody) -> None:
        error = body["error"]
        assert {"code", "message", "status", "details"} == set(error), error
        assert error["message"], error
        assert error["details"][0]["reason"], error

    def error(self, body: ErrorBody) -> Json:
        info = body["error"]["details"][0]
        code = info["reason"].lower()
        return {"code": code, "message": body["error"]["message"], **info.get("metadata", {})}

    def check_broken(self, text: str) -> None:
        *events, last = grammars.gemini_events(text)
        self.check_error(last)
        assert not any("finishReason" in event["candidates"][0] for event in events)


class OllamaClient(Client):
    """Ollama's chat API, with a client that drops call ids, as Ollama's Python library does."""

    api = "ollama"
    path = "/api/chat"
    endpoint = None
    stopped = called = "stop"
    cut = "length"

    def user(self, text: str, *, image: bool = False, mark: bool = False) -> list[Turn]:
        return [{"role": "user", "content": text, **({"images": [PNG]} if image else {})}]

    def results(self, outputs: list[tuple[str, str]]) -> list[Turn]:
        return [{"role": "tool", "tool_name": TOOL, "content": text} for _, text in outputs]

    def body(self, ask: Ask) -> ClientRequest:
        head = [{"role": "system", "content": ask.system}] if ask.system else []
        body: ClientRequest = {"model": f"{ask.model}:latest", "messages": [*head, *ask.turns]}
        if ask.tools:
            function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
            body["tools"] = [{"type": "function", "function": function}]
        if ask.limit:
            body["options"] = {"num_predict": ask.limit}
        return body if ask.stream else body | {"stream": False}

    def read(self, body: ClientResponse) -> Said:
        assert body["done"] is True
        assert body["total_duration"] >= body["eval_duration"] > 0
        message = dict(body["message"])
        assert "assistant" == message["role"]
        calls = message.pop("tool_calls", [])
        if calls:
            message["tool_calls"] = [{"function": call["function"]} for call in calls]
        return Said(
            message["content"],
            [Call(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls],
            body["done_reason"],
            body["prompt_eval_count"],
            None,
            body["eval_count"],
            [message],
        )

    def fold(self, text: str) -> ClientResponse:
        return grammars.fold_lines(grammars.ollama_lines(text))

    def check_error(self, body: ErrorBody) -> None:
        assert isinstance(body["error"], str), body
        assert body["error"]

    def error(self, body: ErrorBody) -> Json:
        # The text includes the hint.
        return {"code": body.get("code"), "message": body["error"], "hint": body["error"]}

    def check_broken(self, text: str) -> None:
        *lines, last = grammars.ollama_lines(text)
        self.check_error(last)
        assert not any(line["done"] for line in lines)


CLIENTS: Final[tuple[Client, ...]] = (
    ChatClient(),
    ResponsesClient(),
    MessagesClient(),
    OllamaClient(),
)
NATIVE: Final = CLIENTS[:3]
"""Clients whose API Copilot also serves."""
GEMINI: Final = GeminiClient()
EVERY_CLIENT: Final[tuple[Client, ...]] = (*CLIENTS, GEMINI)
"""All clients, including clients whose API Copilot lacks."""

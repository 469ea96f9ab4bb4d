"""Translates the contents and system instruction of a Gemini request to chat messages."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.answer_media import answer_content
from copilot_proxy.formats.documents import file_part
from copilot_proxy.formats.gemini.parts import GOOGLES, googles_text, untranslated
from copilot_proxy.formats.gemini.request import MODEL_ROLE, is_image
from copilot_proxy.formats.gemini.thought_signatures import Reasoning, unseal
from copilot_proxy.formats.tool_arguments import arguments_text
from copilot_proxy.formats.types import Json

FAILED: Final = "The function failed:"
"""The start of a result's text if the result is an ``error``."""
_MEDIA_NOTE: Final = (
    "moved images and documents from results to a user message, where every model accepts them"
)


class _Call(NamedTuple):
    id: str
    name: str


def system_message(instruction: Json | None) -> list[Json]:
    """Return the system instruction as a list of one message, or an empty list if it has no
    text."""
    texts = []
    for j, part in enumerate((instruction or {}).get("parts") or ()):
        if part.get("inlineData") is not None:
            raise RequestError(
                "The system instruction must be text.",
                param=f"systemInstruction.parts[{j}].inlineData",
                code="unsupported_value",
                hint="Send the image or document in `contents`.",
            )
        if part.get("text"):
            texts.append(part["text"])
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def translate_contents(contents: list[Json], notes: list[str]) -> list[Json]:
    """Return the chat messages; one `Content` may become several. Raises `RequestError`.

    Consecutive ``Content`` objects from the model become one message, because clients store each
    part of a stream as a separate object.
    """
    builder = _MessagesBuilder()
    for is_model, group in groupby(enumerate(contents), lambda one: _is_model(one[1])):
        if is_model:
            builder.add_model(list(group))
        else:
            for i, content in group:
                builder.add_user(i, content)
    notes += sorted(builder.notes)
    return builder.messages


def _is_model(content: Json) -> bool:
    return content.get("role") == MODEL_ROLE


class _MessagesBuilder:
    """Collects the messages, and keeps track of the calls that have no result yet."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.notes: set[str] = set()
        self._open: list[_Call] = []

    def add_model(self, contents: Iterable[tuple[int, Json]]) -> None:
        """Add the contents that form a single answer from the model."""
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[Json] = []
        media: list[Json] = []
        sealed: Reasoning | None = None
        self._open = []
        for i, content in contents:
            for j, part in enumerate(content.get("parts") or ()):
                self._note_untranslated(part)
                if (signature := part.get("thoughtSignature")) and sealed is None:
                    sealed = unseal(signature)
                if (call := part.get("functionCall")) is not None:
                    # The same conversation must always produce the same ids, because of the prompt
                    # cache.
                    call_id = call.get("id") or f"call_{i}_{j}"
                    calls.append(_tool_call(call_id, call))
                    self._open.append(_Call(call_id, call["name"]))
                elif part.get("thought") is True:
                    thoughts.append(part.get("text") or "")
                else:
                    texts += self._model_texts(part)
                    if part.get("inlineData") is not None:
                        media += _parts(part, f"contents[{i}].parts[{j}]")
        message: Json = {"role": "assistant", "content": answer_content("".join(texts), media)}
        if sealed is not None:
            message["reasoning_opaque"] = sealed.opaque
        if reasoning := (sealed.text if sealed and sealed.text else "".join(thoughts)):
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = calls
        if texts or calls or media:
            self.messages.append(message)
        else:
            self.notes.add("dropped empty contents from the model")

    def _model_texts(self, part: Json) -> Iterator[str]:
        if part.get("text"):
            yield part["text"]
        yield from _transcript(part)
        for name in GOOGLES:
            if part.get(name) is not None:
                self.notes.add(f"changed {name} to text: Copilot does not have Google's tools")
                yield f"{googles_text(name, part[name])}\n\n"

    def add_user(self, i: int, content: Json) -> None:
        """Add the results of calls in a `Content`, followed by the user's own words."""
        parts: list[Json] = []
        media: list[Json] = []
        is_empty = True
        for j, part in enumerate(content.get("parts") or ()):
            path = f"contents[{i}].parts[{j}]"
            self._note_untranslated(part)
            if (result := part.get("functionResponse")) is not None:
                is_empty = False
                call_id = self._call_of(result, f"call_{i}_{j}")
                found = [
                    one
                    for k, inner in enumerate(result.get("parts") or ())
                    for one in _named_parts(inner, f"{path}.functionResponse.parts[{k}]")
                ]
                if found:
                    self.notes.add(_MEDIA_NOTE)
                    label = f"From the result of {result['name']}:"
                    media += [{"type": "text", "text": label}, *found]
                text = _result_text(result.get("response"))
                self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
            else:
                parts += _parts(part, path)
        parts = media + parts
        if len(parts) == 1 and parts[0]["type"] == "text":
            self.messages.append({"role": "user", "content": parts[0]["text"]})
        elif parts:
            self.messages.append({"role": "user", "content": parts})
        elif is_empty:
            self.notes.add(f"dropped contents[{i}]: it is empty")

    def _note_untranslated(self, part: Json) -> None:
        names = set(untranslated(part))
        if is_image(part) and part["inlineData"].get("displayName"):
            names.add("displayName")
        for name in names:
            self.notes.add(f"dropped {name[:50]} from some parts: Copilot has no equivalent")

    def _call_of(self, result: Json, default: str) -> str:
        """Return the id of the call that `result` belongs to.

        A result belongs to the call with the same id or, if there is none, to the first call with
        the same name that has no result yet.
        """
        wanted = result.get("id")
        matches = [one for one in self._open if one.id == wanted]
        matches += [one for one in self._open if one.name == result["name"]]
        if not matches:
            return str(wanted or default)
        self._open.remove(matches[0])
        return matches[0].id


def _tool_call(call_id: str, call: Json) -> Json:
    function = {"name": call["name"], "arguments": arguments_text(call.get("args"))}
    return {"id": call_id, "type": "function", "function": function}


def _result_text(response: Any) -> str:
    """Return the result of a function as text."""
    match response:
        case {"output": output, **rest} if not rest:
            return output if isinstance(output, str) else _json(output)
        case {"error": error, **rest} if not rest:
            return f"{FAILED} {error if isinstance(error, str) else _json(error)}"
        case None:
            return ""
    return _json(response)


def _parts(part: Json, path: str) -> list[Json]:
    """Return the chat parts of a part that is neither a call nor a result."""
    if (blob := part.get("inlineData")) is None:
        texts = [part.get("text"), *_transcript(part)]
        return [{"type": "text", "text": text} for text in texts if text]
    if is_image(part):
        media_type = blob["mimeType"].lower()
        url = f"data:{media_type};base64,{blob['data']}"
        return [{"type": "image_url", "image_url": {"url": url}}]
    return [file_part(blob["data"], blob.get("displayName"), f"{path}.inlineData.data")]


def _named_parts(part: Json, path: str) -> list[Json]:
    """Return the chat parts for a part of a result. A named image is preceded by its name."""
    name = part["inlineData"].get("displayName") if is_image(part) else None
    return [*([{"type": "text", "text": f"{name}:"}] if name else []), *_parts(part, path)]


def _transcript(part: Json) -> list[str]:
    """Return a list with the text of an audio transcription, or an empty list."""
    transcription = part.get("audioTranscription")
    text = transcription.get("text") if isinstance(transcription, dict) else None
    return [text] if isinstance(text, str) and text else []


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

"""Reads a client's request: is it one, who speaks last in it, and does it hold an image.

Refusals are `RequestError` and name the field as OpenAI does: ``messages[0].content``.
"""

import re
from typing import Any, Final

import msgspec

from copilot_proxy import headers
from copilot_proxy.catalogue import MAX_NAME_LENGTH
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.schema import ChatCompletionRequest, Json
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.headers import Initiator, Turn

MAX_TOOLS: Final = 128
"""More tools than these Copilot refuses."""

_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*?)`)?$", re.DOTALL)
_TYPE_NAMES: Final = (
    # What JSON calls them.
    (re.compile(r"\bstr\b"), "string"),
    (re.compile(r"\bint\b"), "integer"),
    (re.compile(r"\bfloat\b"), "number"),
    (re.compile(r"\bbool\b"), "boolean"),
)
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def parse_json(body: bytes) -> Any:
    """The JSON of a body; raises `RequestError` for anything else."""
    if not body.strip():
        raise RequestError("The request has no body; JSON is expected.")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return decode_leniently(body, strict=True)
        except ValueError:
            raise RequestError(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None


def parse_object(body: bytes) -> Json:
    """The JSON object of a body, in which `model` has a bearable length if it is a text; raises
    `RequestError` for anything else."""
    request = parse_json(body)
    if not isinstance(request, dict):
        raise RequestError("The body must be a JSON object.")
    _check_model_name(request.get("model"))
    return request


def _check_model_name(name: object) -> None:
    """Refuses what is no name before it is looked for, compared or logged."""
    if isinstance(name, str) and len(name) > MAX_NAME_LENGTH:
        raise _wrong(
            "model",
            f"The model's name has {len(name)} characters; {MAX_NAME_LENGTH} are the most.",
            code="string_above_max_length",
            hint="Send one of the names that GET /v1/models lists.",
        )


def parse_request(body: bytes) -> Json:
    """The decoded request, checked against the schema, with all the fields it came with."""
    request = parse_object(body)
    check_request(request)
    return request


def check_request(request: Json) -> None:
    """Raises `RequestError` for what no upstream could answer."""
    check_shape(request, ChatCompletionRequest)
    if not request["model"]:
        raise _wrong("model", "The model's name is empty.")
    if not request["messages"]:
        raise _wrong("messages", "At least one message is needed.")
    n = request.get("n")
    if n is not None and n != 1:
        raise _wrong(
            "n",
            "Copilot answers once per request: only `n` = 1 is supported.",
            code="unsupported_value",
            hint="Send the request several times.",
        )
    for name, instead in (("functions", "tools"), ("function_call", "tool_choice")):
        if request.get(name) is not None:
            raise _wrong(
                name,
                f"`{name}` is not supported any more.",
                code="unsupported_parameter",
                hint=f"Use `{instead}`.",
            )
    _check_tools(request)
    for i, message in enumerate(request["messages"]):
        _check_parts(message.get("content"), f"messages[{i}].content")


def check_shape(request: object, schema: type[msgspec.Struct]) -> None:
    """Raises a `RequestError` that names the first field of the wrong type, or the missing one."""
    try:
        msgspec.convert(request, schema)
    except msgspec.ValidationError as error:
        raise _of_validation(str(error)) from None


def _of_validation(text: str) -> RequestError:
    match = _PATH.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    for name, json_name in _TYPE_NAMES:
        what = name.sub(json_name, what)
    what = what.replace("`", "'")
    missing = _MISSING.search(text)
    if missing:
        param = f"{path}.{missing[1]}" if path else missing[1]
        return _wrong(
            param, f"Missing required parameter: '{param}'.", code="missing_required_parameter"
        )
    code = "invalid_value" if what.startswith("Invalid") else "invalid_type"
    if not path:
        return _wrong(None, f"{what}.", code=code)
    return _wrong(path, f"Invalid '{path}': {what[:1].lower()}{what[1:]}.", code=code)


def _check_tools(request: Json) -> None:
    tools = request.get("tools") or ()
    if len(tools) > MAX_TOOLS:
        raise _wrong(
            "tools",
            f"Copilot takes at most {MAX_TOOLS} tools, and the request has {len(tools)}.",
            code="array_above_max_length",
            hint="Turn some of the client's tools or MCP servers off.",
        )


def _check_parts(content: object, path: str) -> None:
    if not isinstance(content, list):
        return
    for i, part in enumerate(content):
        match part["type"]:
            case "image_url":
                _check_image(part["image_url"], f"{path}[{i}].image_url")
            case "input_audio" | "file":
                raise _wrong(
                    f"{path}[{i}]",
                    "Copilot's chat takes text and images; this is neither.",
                    code="unsupported_value",
                    hint="Send the file's text instead.",
                )


def _check_image(image: Any, path: str) -> None:
    url = image if isinstance(image, str) else image["url"]
    if not url.startswith("data:"):
        raise _wrong(
            path,
            "Copilot does not fetch images from an address.",
            code="unsupported_value",
            hint=image_hint("Send the image itself, as a data: URL with base64", url),
        )


def _wrong(
    param: str | None, message: str, *, code: str | None = None, hint: str | None = None
) -> RequestError:
    return RequestError(message, param=param, code=code, hint=hint)


def initiator(messages: list[Json]) -> Initiator:
    """Who asked, by the rule of `headers.initiator`."""
    return headers.initiator(map(_turn, reversed(messages)))


def _turn(message: Json) -> Turn | None:
    match message["role"]:
        case "system" | "developer":
            return None
        case "user":
            return headers.user_turn(message["content"])
        case "tool":
            return "results"
    return "agent"


def count_images(value: object) -> int:
    """How many images the messages hold, however old or nested."""
    count = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            if item.get("type") in ("image_url", "input_image", "image"):
                count += 1
            else:
                pending.append(item.get("content"))
    return count

"""What pi-ai says of a failure in the middle of an answer, as one of our errors.

pi-ai gives a text alone. It is what the API's event said: Claude's as JSON, those of the Responses
API as ``code: message``; or pi-ai's and its libraries' own words.
"""

import re
from typing import Any, Final

import msgspec

from copilot_proxy.errors import Broken, UpstreamError
from copilot_proxy.formats.refusals import event_refusal

Json = dict[str, Any]

FINISH: Final = re.compile(r"^Provider finish_reason: (?P<reason>\w+)$")
"""How pi-ai puts a finish that it takes for a failure."""
_CODED: Final = re.compile(r"^(?:Error Code )?(?P<code>[a-z][a-z_]+): (?P<message>.+)", re.DOTALL)
_UNKNOWN: Final = ("An unknown error occurred", "undefined", "")
_NO_JSON: Final = re.compile(r"\bin JSON\b|\bJSON input\b|^Could not parse .* SSE event")
_CUT: Final = re.compile(r"ended before message_stop|terminated|[Pp]remature close|ECONNRESET")


def failure_of(event: Json) -> UpstreamError:
    """The error of an ``error`` event; ``cut`` of it says that the connection broke."""
    told = event.get("error")
    text = told.get("errorMessage") if isinstance(told, dict) else None
    text = text if isinstance(text, str) else ""
    if event.get("silent") is True:
        return Broken(
            "Copilot fell silent in the middle of its answer.",
            hint="Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
        )
    if event.get("cut") is True or _CUT.search(text):
        return Broken(
            "The connection to Copilot broke in the middle of its answer.",
            hint="What came so far may be incomplete. Try again.",
        )
    if _NO_JSON.search(text):
        return Broken("Copilot sent an event that is not valid JSON.")
    if finish := FINISH.match(text):
        return Broken(f"Copilot's model failed while it was answering ({finish['reason']}).")
    if text.strip() in _UNKNOWN:
        return Broken("Copilot's model failed while it was answering, and pi-ai does not say why.")
    return event_refusal(_body(text))


def _body(text: str) -> Json:
    if text.startswith("{"):
        try:
            data = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
    if coded := _CODED.match(text):
        return {"error": {"code": coded["code"], "message": coded["message"]}}
    return {"error": {"message": text}}

"""Why pi-ai got no answer, in words: Node's codes as our errors."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from copilot_proxy.errors import BrokenResponse, UpstreamError, UpstreamUnreachable
from copilot_proxy.formats.upstream_errors import refusal
from copilot_proxy.masking import mask

PI_AI: Final = "PI_AI"
"""The code of what went wrong before anything was asked."""


class _ErrorMapping(NamedTuple):
    message: str
    hint: str
    status: int = 502
    sent: bool = False
    passing: bool = False


_PROXY: Final = "Check the network. Behind a company proxy, set HTTPS_PROXY."
_UNTRUSTED: Final = _ErrorMapping(
    "The certificate of {host} is not trusted.",
    "A company proxy may be in between: set SSL_CERT_FILE to a file with your company's "
    "certificate authority.",
)
_LOST: Final = _ErrorMapping("The name {host} could not be looked up.", _PROXY)
_FAR: Final = _ErrorMapping("{host} could not be reached.", _PROXY, passing=True)
_MEANINGS: Final[Mapping[str, _ErrorMapping]] = {
    "UND_ERR_CONNECT_TIMEOUT": _ErrorMapping("Connecting to {host} took too long.", _PROXY, 504),
    "UND_ERR_HEADERS_TIMEOUT": _ErrorMapping(
        "{host} did not answer in time.",
        "Try again; COPILOT_PROXY_READ_TIMEOUT sets how long is waited.",
        504,
        sent=True,
    ),
    "ECONNREFUSED": _ErrorMapping(
        "{host} refused the connection.",
        "Check the address, and HTTPS_PROXY if you are behind a company proxy.",
        passing=True,
    ),
    "UND_ERR_ABORTED": _ErrorMapping(
        "The proxy on the way to {host} refused.",
        "Check HTTPS_PROXY, with user and password if the proxy wants them; NO_PROXY names hosts "
        "to be reached directly.",
    ),
    "ENOTFOUND": _LOST,
    "EAI_AGAIN": _LOST,
    "EHOSTUNREACH": _FAR,
    "ENETUNREACH": _FAR,
    "DEPTH_ZERO_SELF_SIGNED_CERT": _UNTRUSTED,
    "SELF_SIGNED_CERT_IN_CHAIN": _UNTRUSTED,
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE": _UNTRUSTED,
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY": _UNTRUSTED,
    "UNABLE_TO_GET_ISSUER_CERT": _UNTRUSTED,
    "CERT_HAS_EXPIRED": _UNTRUSTED,
    "ERR_TLS_CERT_ALTNAME_INVALID": _UNTRUSTED,
}
_BROKEN: Final = _ErrorMapping(
    "The connection to {host} broke before the answer was complete.",
    "Try again. If it happens often, look for a proxy or VPN that cuts connections.",
    sent=True,
)


def unreachable(told: Mapping[str, object], url: str) -> UpstreamError:
    """The error for what the sidecar told; `sent` of it is false only if surely nothing was."""
    code, text = str(told.get("code", "")), str(told.get("text", ""))
    if code == PI_AI:
        return BrokenResponse(
            f"pi-ai could not ask Copilot: {mask(text)[:500] or 'it does not say why'}."
        )
    meaning = _MEANINGS.get(code, _BROKEN)
    return UpstreamUnreachable(
        meaning.message.format(host=urlsplit(url).netloc),
        hint=meaning.hint,
        sent=meaning.sent,
        passing=meaning.passing,
        status=meaning.status,
    )


def refused(told: Mapping[str, Any]) -> UpstreamError:
    """The error for an answer with a status that is none of success."""
    status = told["status"]
    if status < 400:
        return BrokenResponse(
            f"Copilot's address answered with status {status}, which it never does.",
            hint="A proxy on the way may have sent it: check HTTPS_PROXY.",
        )
    error = refusal(status, told["headers"], told["body"].encode())
    if "thought_signature" in error.message:
        error.hint = (
            "pi-ai does not carry the seals that Gemini wants back with its tool calls: start the "
            "server without --upstream pi-ai for this model."
        )
    return error

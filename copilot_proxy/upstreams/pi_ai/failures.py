"""Maps the sidecar's errors, which have Node's error codes, to `UpstreamError`."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from copilot_proxy.errors import BrokenResponse, UpstreamError, UpstreamUnreachable
from copilot_proxy.formats import broken_responses
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.masking import mask

PI_AI_FAILED: Final = "PI_AI"
"""The code of errors that occur before a request is sent."""


class _ErrorMapping(NamedTuple):
    message: str
    hint: str
    status: int = 502
    sent: bool = False
    temporary: bool = False


_NETWORK_HINT: Final = "Check the network. Behind a company proxy, set HTTPS_PROXY."
_UNTRUSTED: Final = _ErrorMapping(
    "The certificate of {host} is not trusted.",
    "A company proxy may be intercepting the connection. Set SSL_CERT_FILE to a file with your "
    "company's certificate authority.",
)
_NOT_RESOLVED: Final = _ErrorMapping("The host name {host} could not be resolved.", _NETWORK_HINT)
_NOT_REACHED: Final = _ErrorMapping("{host} could not be reached.", _NETWORK_HINT, temporary=True)
_BY_CODE: Final[Mapping[str, _ErrorMapping]] = {
    "UND_ERR_CONNECT_TIMEOUT": _ErrorMapping(
        "Connecting to {host} took too long.", _NETWORK_HINT, 504
    ),
    "UND_ERR_HEADERS_TIMEOUT": _ErrorMapping(
        "{host} did not answer in time.",
        "Try again. To wait longer, set COPILOT_PROXY_READ_TIMEOUT.",
        504,
        sent=True,
    ),
    "ECONNREFUSED": _ErrorMapping(
        "{host} refused the connection.",
        "Check the address, and HTTPS_PROXY if you are behind a company proxy.",
        temporary=True,
    ),
    "UND_ERR_ABORTED": _ErrorMapping(
        "The proxy refused to connect to {host}.",
        "Check HTTPS_PROXY, and include the user and password if the proxy requires them. To "
        "bypass the proxy for some hosts, list them in NO_PROXY.",
    ),
    "ENOTFOUND": _NOT_RESOLVED,
    "EAI_AGAIN": _NOT_RESOLVED,
    "EHOSTUNREACH": _NOT_REACHED,
    "ENETUNREACH": _NOT_REACHED,
    "DEPTH_ZERO_SELF_SIGNED_CERT": _UNTRUSTED,
    "SELF_SIGNED_CERT_IN_CHAIN": _UNTRUSTED,
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE": _UNTRUSTED,
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY": _UNTRUSTED,
    "UNABLE_TO_GET_ISSUER_CERT": _UNTRUSTED,
    "CERT_HAS_EXPIRED": _UNTRUSTED,
    "ERR_TLS_CERT_ALTNAME_INVALID": _UNTRUSTED,
}
_BROKEN: Final = _ErrorMapping(
    "The connection to {host} was lost before the answer was complete.",
    "Try again. If it happens often, check for a proxy or VPN that drops connections.",
    sent=True,
)


def request_error(outcome: Mapping[str, object], url: str) -> UpstreamError:
    """Return the error for a request that got no response; `outcome` has a `code` and a `text`.

    The error's `sent` is false only if it is certain that nothing was sent.
    """
    code, text = str(outcome.get("code", "")), str(outcome.get("text", ""))
    if code == PI_AI_FAILED:
        return BrokenResponse(
            f"pi-ai could not send the request: {mask(text)[:500] or 'no reason given'}."
        )
    mapping = _BY_CODE.get(code, _BROKEN)
    return UpstreamUnreachable(
        mapping.message.format(host=urlsplit(url).netloc),
        hint=mapping.hint,
        sent=mapping.sent,
        temporary=mapping.temporary,
        status=mapping.status,
    )


def response_error(outcome: Mapping[str, Any]) -> UpstreamError:
    """Return the error for a non-2xx response, given as `status`, `headers` and `body`."""
    status = outcome["status"]
    if status < 400:
        return broken_responses.unexpected_status(status)
    return parse_error_response(status, outcome["headers"], outcome["body"].encode())

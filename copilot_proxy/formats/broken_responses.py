"""The errors for broken answers from Copilot, shared by several APIs and upstreams."""

from copilot_proxy.errors import BrokenResponse

_INCOMPLETE = "The answer may be incomplete. Try again."


def empty_answer() -> BrokenResponse:
    """Return the error for an answer without any content."""
    return BrokenResponse("Copilot sent an empty answer.", hint="Try again, or try another model.")


def ended_early() -> BrokenResponse:
    """Return the error for a stream that ended without signaling that it was complete."""
    return BrokenResponse("Copilot's answer was cut off before it was complete.", hint=_INCOMPLETE)


def not_an_object() -> BrokenResponse:
    """Return the error for an event that is not a JSON object."""
    return BrokenResponse("Copilot sent an event that is not a JSON object.")


def timed_out() -> BrokenResponse:
    """Return the error for an answer that stopped arriving before it was complete."""
    return BrokenResponse(
        "Copilot stopped sending in the middle of its answer.",
        hint="Try again. To wait longer, set COPILOT_PROXY_READ_TIMEOUT.",
    )


def connection_lost() -> BrokenResponse:
    """Return the error for a connection lost during the answer."""
    return BrokenResponse(
        "The connection to Copilot was lost in the middle of its answer.", hint=_INCOMPLETE
    )


def unexpected_status(status: int) -> BrokenResponse:
    """Return the error for a status that is neither a success nor an error."""
    return BrokenResponse(
        f"Copilot answered with the unexpected status {status}.",
        hint="A proxy may have sent the response. Check HTTPS_PROXY.",
    )

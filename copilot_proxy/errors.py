"""Every error that is reported to a user or a client.

    CopilotProxyError
    ├── UsageError                a flag or setting has an invalid value         500, exit 2
    ├── ClientNotFound            a program is not installed                     500, exit 127
    ├── SignInError               a problem with the user's GitHub account
    │   ├── NotSignedIn           no token, or GitHub no longer accepts it       401, exit 3
    │   ├── NoCopilotAccess       the account has no access to Copilot           403, exit 4
    │   ├── LoginFailed           the device flow ended without a token          401
    │   └── StoreError            the keyring or the token file failed           500
    ├── RequestError              the client sent an invalid request             4xx
    └── UpstreamError             the upstream request failed
        ├── UpstreamRefusal       upstream answered with an error                its status
        │   └── CooldownRefusal   an earlier refusal, repeated by a cooldown     its status
        ├── UpstreamUnreachable   no response: connection, TLS or timeout        502, 504
        └── BrokenResponse        an accepted request, but an invalid response   502

Each error describes what happened (`message`) and what to do next (`hint`). It also defines how it
is reported over HTTP (`status`, `type`, `code`, `param`, as in OpenAI's error object), and the exit
code of a command that fails with it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

_SENTENCE_ENDS: Final = (".", "!", "?", ":", "\u2026")
_REQUEST_HINT: Final = "See GET /schema for the request format."
_SIMULATABLE: Final = re.compile(
    r"copilot-proxy (?:models|status|chat|usage|budget(?: (?:raise|set|off))?)\b(?! --simulate)"
)
"""Matches, in a hint, a command that accepts ``--simulate`` but was written without it."""
_COMMAND: Final = re.compile(
    r"(?<![\w/.-])copilot-proxy(?= (?:login|logout|status|serve|run|connect|chat|models|usage"
    r"|budget|dashboard|doctor|simulate|service|pi-ai)\b)"
)
"""Matches, in a hint, the program's name at the start of a command."""


class CopilotProxyError(Exception):
    """The base class of all errors; `message` is one or two sentences for the user."""

    status: int = 500
    type: str = "server_error"
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        """Headers to add to the client's response, such as ``retry-after``."""
        self.extra = dict(extra or {})
        """Additional keys of the client's error object, such as upstream's own code."""
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type

    def copy(self) -> Self:
        """Return the same error without its traceback.

        Use this to raise a cached error again. The traceback would keep entire requests in memory,
        and each caller may change the headers of its copy.
        """
        duplicate = type(self).__new__(type(self), *self.args)
        vars(duplicate).update(vars(self), headers=dict(self.headers), extra=dict(self.extra))
        return duplicate


class UsageError(CopilotProxyError):
    """A flag, setting or configuration file is invalid."""

    exit_code = 2

    def __init__(self, message: str, **more: object) -> None:
        # Some of these errors only occur while answering a request, so clients can see them.
        more.setdefault("code", "server_misconfigured")
        more.setdefault("headers", {"x-should-retry": "false"})
        super().__init__(message, **more)  # type: ignore[arg-type]  # the base checks the names


class ClientNotFound(CopilotProxyError):
    """A program that a command should start is not installed."""

    exit_code = 127  # as in shells


class SignInError(CopilotProxyError):
    """A problem with the user's GitHub account or its token."""

    status = 401
    type = "authentication_error"


class NotSignedIn(SignInError):
    """There is no GitHub token, or GitHub no longer accepts it."""

    exit_code = 3

    def __init__(self, message: str = "Not signed in to GitHub.", **more: object) -> None:
        more.setdefault("hint", "Sign in with: copilot-proxy login")
        more.setdefault("code", "not_signed_in")
        super().__init__(message, **more)  # type: ignore[arg-type]  # the base checks the names


class NoCopilotAccess(SignInError):
    """GitHub says that the account has no access to Copilot."""

    status = 403
    type = "permission_error"
    exit_code = 4


class LoginFailed(SignInError):
    """The device flow ended without a token."""


class StoreError(SignInError):
    """The keyring or the token file could not be read or written."""

    status = 500
    type = "server_error"


class RequestError(CopilotProxyError):
    """The client sent a request that cannot be answered; the default status is 400."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, hint: str | None = None, **more: object) -> None:
        super().__init__(message, hint=hint or _REQUEST_HINT, **more)  # type: ignore[arg-type]  # as above


class UpstreamError(CopilotProxyError):
    """A request to GitHub or Copilot failed."""

    status = 502
    free = False
    """Whether the request is one that is never billed, such as the token exchange."""


class UpstreamRefusal(UpstreamError):
    """Upstream responded with an error: HTTP `upstream_status` and possibly an `upstream_code`.

    `upstream_status` is 200 if upstream accepted the request, and sent the error as an event in its
    response.
    """

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int,
        upstream_code: str | None = None,
        hint: str | None = None,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(
            message,
            hint=hint,
            code=code,
            param=param,
            status=status,
            type=type,
            headers=headers,
            extra=extra,
        )
        self.upstream_status = upstream_status
        if self.type == "authentication_error":
            self.exit_code = NotSignedIn.exit_code
        self.upstream_code = upstream_code
        self.copilot_usage: dict[str, Any] | None = None
        """GitHub's charge, if it came with the error."""


class CooldownRefusal(UpstreamRefusal):
    """An earlier refusal, repeated during a cooldown without calling Copilot."""


class UpstreamUnreachable(UpstreamError):
    """Upstream did not respond.

    `sent` is false if upstream has certainly not received any part of the request. `temporary` is
    true if an immediate retry may succeed.
    """

    def __init__(
        self,
        message: str,
        *,
        sent: bool,
        temporary: bool = False,
        hint: str | None = None,
        status: int = 502,
    ) -> None:
        super().__init__(message, hint=hint, code="upstream_unreachable", status=status)
        self.sent = sent
        self.temporary = temporary
        if sent:
            # Upstream may have billed the request, so an automatic retry could be billed again.
            self.headers["x-should-retry"] = "false"


class BrokenResponse(UpstreamError):
    """Upstream accepted the request, but its response was empty, incomplete or malformed."""

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint or "Try again, or try another model.",
            code=code or "upstream_broken",
            headers={"x-should-retry": "false"},
        )


@contextmanager
def never_billed() -> Iterator[None]:
    """Mark errors in the block as coming from requests that are never billed, such as the token
    exchange, so that clients may retry."""
    try:
        yield
    except UpstreamError as error:
        error.free = True
        if isinstance(error, UpstreamUnreachable | BrokenResponse):
            error.headers.pop("x-should-retry", None)
        raise


def with_simulate_flag(hint: str | None) -> str | None:
    """Return `hint` with ``--simulate`` added to its commands about the account.

    Without the flag, the commands would show the user's own account, or find none.
    """
    return _SIMULATABLE.sub(r"\g<0> --simulate", hint) if hint else hint


@contextmanager
def hints_for_simulator(simulate: bool) -> Iterator[None]:
    """If `simulate` is true, add ``--simulate`` to commands in the hints of errors in the block."""
    try:
        yield
    except CopilotProxyError as error:
        if simulate:
            error.hint = with_simulate_flag(error.hint)
        raise


def with_profile(text: str | None, profile: str | None) -> str | None:
    """Return `text` with ``--profile`` added to its commands, unless the profile is the default."""
    if not text or not profile:
        return text
    return _COMMAND.sub(rf"copilot-proxy --profile {profile}", text)


def join_sentences(first: str, second: str | None) -> str:
    """Join two sentences with a space, ending the first with a period if it has none."""
    first = first.rstrip()
    if not first or not second:
        return first or second or ""
    return f"{first}{'' if first.endswith(_SENTENCE_ENDS) else '.'} {second}"


def code_of(error: CopilotProxyError) -> str:
    """Return the error's code, or its type if it has no code."""
    return error.code or error.type

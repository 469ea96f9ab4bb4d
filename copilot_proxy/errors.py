"""Every failure that a person or a client is told about.

    CopilotProxyError
    ├── UsageError                a flag or setting that cannot work            500, exit 2
    ├── SignInError               who the person is to GitHub
    │   ├── NotSignedIn           no token, or GitHub no longer takes it         401, exit 3
    │   ├── NoCopilotAccess       the account has no Copilot                     403, exit 4
    │   ├── LoginFailed           the device flow ended without a token
    │   └── StoreError            the keyring or the token file failed
    ├── RequestError              the client's mistake                           4xx
    └── UpstreamError             what came, or did not come, from upstream
        ├── UpstreamRefusal               an answer with an error in it
        │   └── CooldownRefusal           the same again, during a cooldown
        ├── UpstreamUnreachable           no answer: connection, TLS, time               502, 504
        └── BrokenResponse                an answer that began well and did not end so   502

Each says what happened (`message`), what to do next (`hint`), and how it reads as an HTTP answer
(`status`, `type`, `code`, `param`, as in OpenAI's error object) and as an exit code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

_ENDS: Final = (".", "!", "?", ":", "\u2026")
_SHAPES: Final = "GET /schema shows what a request may look like."


class CopilotProxyError(Exception):
    """The base of all; `message` is one or two sentences for a person."""

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
        """Headers for the client's answer, such as ``retry-after``."""
        self.extra = dict(extra or {})
        """More keys for the client's error object, such as what upstream called it."""
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type


class UsageError(CopilotProxyError):
    """A flag, setting or configuration file that cannot work."""

    exit_code = 2

    def __init__(self, message: str, **more: object) -> None:
        # Some show only when a request is answered, and then a client reads them.
        more.setdefault("code", "server_misconfigured")
        more.setdefault("headers", {"x-should-retry": "false"})
        super().__init__(message, **more)  # type: ignore[arg-type]  # the base checks the names


class SignInError(CopilotProxyError):
    """Something between the person and GitHub."""

    status = 401
    type = "authentication_error"


class NotSignedIn(SignInError):
    """There is no GitHub token, or GitHub does not take it any more."""

    exit_code = 3

    def __init__(self, message: str = "Not signed in to GitHub.", **more: object) -> None:
        more.setdefault("hint", "Sign in with: copilot-proxy login")
        more.setdefault("code", "not_signed_in")
        super().__init__(message, **more)  # type: ignore[arg-type]  # the base checks the names


class NoCopilotAccess(SignInError):
    """GitHub knows the account and says that it may not use Copilot."""

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
    """The client asked for something that cannot be; 400 unless told otherwise."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, hint: str | None = None, **more: object) -> None:
        super().__init__(message, hint=hint or _SHAPES, **more)  # type: ignore[arg-type]  # as above


class UpstreamError(CopilotProxyError):
    """Upstream is the reason."""

    status = 502


class UpstreamRefusal(UpstreamError):
    """Upstream answered with an error; `upstream_status` and `upstream_code` are its own."""

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


class CooldownRefusal(UpstreamRefusal):
    """An earlier refusal, given again during a cooldown, without asking upstream."""


class UpstreamUnreachable(UpstreamError):
    """No answer came. `sent` is false when it is certain that upstream saw nothing of the call;
    `passing` is true if, besides, the next try may go well at once."""

    def __init__(
        self,
        message: str,
        *,
        sent: bool,
        passing: bool = False,
        hint: str | None = None,
        status: int = 502,
    ) -> None:
        super().__init__(message, hint=hint, code="upstream_unreachable", status=status)
        self.sent = sent
        self.passing = passing
        if sent:
            # The call may have been counted: a client that repeats it by itself would pay twice.
            self.headers["x-should-retry"] = "false"


class BrokenResponse(UpstreamError):
    """An accepted call whose answer was empty, cut, or not what it claimed to be."""

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(
            message,
            hint=hint or "Try again, or try another model.",
            code=code or "upstream_broken",
            headers={"x-should-retry": "false"},
        )


@contextmanager
def unbilled() -> Iterator[None]:
    """For what cannot be billed, such as the token exchange: any client may repeat what fails."""
    try:
        yield
    except (UpstreamUnreachable, BrokenResponse) as error:
        error.headers.pop("x-should-retry", None)
        raise


def joined(first: str, then: str | None) -> str:
    """Two texts as one: a full stop ends the first, if nothing else does."""
    first = first.rstrip()
    if not first or not then:
        return first or then or ""
    return f"{first}{'' if first.endswith(_ENDS) else '.'} {then}"


def copy_error(error: CopilotProxyError) -> CopilotProxyError:
    """The same error for one more caller, who may add to it, or to be kept.

    It has a traceback of its own: one that is kept would keep whole requests in memory with it.
    """
    made = type(error).__new__(type(error), *error.args)
    vars(made).update(vars(error), headers=dict(error.headers), extra=dict(error.extra))
    return made


def code_of(error: CopilotProxyError) -> str:
    """What a failure is called: its code, or its kind."""
    return error.code or error.type

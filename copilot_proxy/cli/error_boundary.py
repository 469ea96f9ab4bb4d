"""The error boundary of all commands: turns exceptions into messages and exit codes."""

import errno
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from copilot_proxy.cli.console import print_error, print_message, print_unwrapped
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.terminal import discard

INTERRUPTED: Final = 130
_UNWRITABLE: Final = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG)
"""An `OSError` with one of these numbers and no file name means that writing to stdout failed."""
_SIMULATABLE: Final = tuple(
    f"copilot-proxy {name}" for name in ("serve", "chat", "models", "status")
)
"""The commands that have the flag ``--simulate``."""
_RUN: Final = "copilot-proxy run"
_BUDGET: Final = "copilot-proxy budget"
_PACKAGE: Final = str(Path(__file__).parents[1])
_PLAIN_WORDS: Final = (
    # Typer's messages are written for programmers.
    ("is not a valid int.", "is not a whole number."),
    ("is not a valid float.", "is not a number."),
    ("is not in the range x>=", "must be at least "),
    ("<=x<=", " to "),
)


_EXTRA: Final = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)")


def run_command(
    command: Callable[[], object], *, debug: bool, command_path: str = "copilot-proxy"
) -> int:
    """Run `command`, report any exception on stderr, and return the exit code.

    `command_path` is the command as typed, for usage errors that do not name it.
    """
    # Without a handler, Python would print logged warnings to stderr.
    logging.getLogger("copilot_proxy").addHandler(logging.NullHandler())
    logging.getLogger("copilot_proxy.auth.keyring_store").addHandler(_WAITING)
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe.
        discard(sys.stdout)
        return 0
    except SystemExit as error:
        # This is how Typer itself exits when the pipe is closed.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        discard(sys.stdout)
        return 0
    except _interruptions():
        print_message()
        return INTERRUPTED
    except CopilotProxyError as error:
        _show_traceback(error, debug)
        if error.code == "not_signed_in" and command_path in _SIMULATABLE and not _is_service():
            error.hint = f"{error.hint}\nOr try it without an account: {command_path} --simulate"
        print_error(error)
        return error.exit_code
    except OSError as error:
        return _report_os_error(error, debug)
    except Exception as error:
        return _report_unexpected(error, debug, command_path)
    return code if isinstance(code, int) else 0


def _is_service() -> bool:
    from copilot_proxy.settings import INSTANCE_VARIABLE

    return INSTANCE_VARIABLE in os.environ


def _interruptions() -> tuple[type[BaseException], ...]:
    """Return the exceptions for Ctrl+C, and for Ctrl+D at one of Typer's prompts."""
    import typer  # a worker process needs this import only on failure

    return KeyboardInterrupt, typer.Abort


class _Waiting(logging.Handler):
    """Prints what a command is waiting for, unless the log does."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            print_message(record.getMessage())


_WAITING: Final = _Waiting(logging.WARNING)


def open_streams() -> None:
    """Make stdout and stderr safe to write to.

    Closed streams are reopened, so that connections do not get their file descriptors. Characters
    missing from the terminal's encoding are replaced.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Writing to this descriptor fails, as on a full disk.
            closed = os.open(os.devnull, os.O_RDONLY)
            setattr(sys, name, open(closed, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def flush_stderr() -> None:
    """Flush stderr at exit. Otherwise, a closed terminal would change the exit code to 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        discard(sys.stderr)


def _report_os_error(error: OSError, debug: bool) -> int:
    """Report an operating system error, such as a full disk or a missing file."""
    what = str(error.filename) if error.filename else "The operating system reports"
    if error.errno in _UNWRITABLE and not error.filename:
        what = "The output cannot be written"
        discard(sys.stdout)
    if not error.strerror:
        return _report_unexpected(error, debug, "")
    from copilot_proxy.masking import mask

    _show_traceback(error, debug)
    print_message(mask(f"Error: {what}: {error.strerror}."))
    return 1


def _report_unexpected(error: Exception, debug: bool, command_path: str) -> int:
    format_message = getattr(error, "format_message", None)
    if callable(format_message):
        return _report_usage_error(error, str(format_message()), command_path)
    _show_traceback(error, debug)
    name = type(error).__name__
    print_message(f"Error: An unexpected error occurred in copilot-proxy ({name}).")
    if not debug:
        print_message(
            "To see the traceback, run the command again with --debug. Please report the error "
            "with the output of: copilot-proxy doctor --report"
        )
    return 1


def _report_usage_error(error: Exception, message: str, command_path: str) -> int:
    """Report a Typer error about the command line; the class of such errors has no public name."""
    from copilot_proxy.masking import mask

    context = getattr(error, "ctx", None)
    for original, plain in _PLAIN_WORDS:
        message = message.replace(original, plain)
    message = _EXTRA.sub(r"Unexpected argument: \1", message)
    path = context.command_path if context else command_path
    option = getattr(error, "option_name", None) or ""
    if path == _BUDGET and option[1:2].isdigit():
        message = "An amount must not be negative."  # a number such as -5 looks like an option
    print_message(mask(f"Error: {message}"))
    if path == _RUN and option:
        print_message(f"Arguments for the client go after --, as in: {_RUN} claude -- --help")
    print_message(f"See: {path} --help")
    return 2


def _show_traceback(error: Exception, debug: bool) -> None:
    """Print the traceback if `debug` is true; for our own errors, only the frames in this
    package."""
    if not debug:
        return
    from copilot_proxy.masking import mask

    summary = traceback.TracebackException.from_exception(error)
    if isinstance(error, CopilotProxyError):
        one: traceback.TracebackException | None = summary
        while one is not None:
            frames = [frame for frame in one.stack if frame.filename.startswith(_PACKAGE)]
            one.stack = traceback.StackSummary.from_list(frames)
            one = one.__cause__ or one.__context__
    print_unwrapped(mask("".join(summary.format())).rstrip())

"""The one place that turns failures into a sentence and an exit code."""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import typer

from copilot_proxy.cli.console import problem, talk
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask
from copilot_proxy.terminal import discard

INTERRUPTED: Final = 130
_UNWRITABLE: Final = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG)
"""What can be wrong with stdout; every other file has a name."""
_OWN: Final = str(Path(__file__).parents[1])
_WORDS: Final = (
    # Typer speaks to programmers.
    ("is not a valid int.", "is not a whole number."),
    ("is not a valid float.", "is not a number."),
    ("is not in the range x>=", "has to be at least "),
    ("<=x<=", " to "),
)


def guard(command: Callable[[], object], *, debug: bool, called: str = "copilot-proxy") -> int:
    """Runs `command` and returns the exit code, whatever it raises; `called` is what was called,
    for complaints that do not say it."""
    # Without a handler of its own, Python would write warnings between a command's lines.
    logging.getLogger("copilot_proxy").addHandler(logging.NullHandler())
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has all it wants; Python would complain once more at its end.
        discard(sys.stdout)
        return 0
    except SystemExit as left:
        # Typer's own way out when the reader has gone.
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        discard(sys.stdout)
        return 0
    except (KeyboardInterrupt, typer.Abort):
        talk()
        return INTERRUPTED
    except CopilotProxyError as error:
        _show_traceback(error, debug)
        problem(error)
        return error.exit_code
    except OSError as error:
        return _system(error, debug)
    except Exception as error:
        return _other(error, debug, called)
    return code if isinstance(code, int) else 0


def open_streams() -> None:
    """Gives stdout and stderr a place where they were closed, so that no connection gets their
    number, and lets them take every character, whatever the terminal's encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Writing to it fails, as it does for a full disk.
            closed = os.open(os.devnull, os.O_RDONLY)
            setattr(sys, name, open(closed, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def give_up_stderr() -> None:
    """To be called last: what a terminal that is gone did not take would make the exit code 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        discard(sys.stderr)


def _system(error: OSError, debug: bool) -> int:
    """The system refused something: a full disk, a closed stdout, a file that is gone."""
    what = str(error.filename) if error.filename else "The system says"
    if error.errno in _UNWRITABLE and not error.filename:
        what = "The output cannot be written"
        discard(sys.stdout)
    if not error.strerror:
        return _other(error, debug, "")
    _show_traceback(error, debug)
    talk(mask(f"Error: {what}: {error.strerror}."))
    return 1


def _other(error: Exception, debug: bool, called: str) -> int:
    said = getattr(error, "format_message", None)
    if callable(said):
        return _wrong_usage(error, str(said()), called)
    _show_traceback(error, debug)
    name = type(error).__name__
    talk(f"Error: something unexpected happened in copilot-proxy ({name}).")
    if not debug:
        talk("Run the same command again with --debug to see where, and please report it.")
    return 1


def _wrong_usage(error: Exception, said: str, called: str) -> int:
    """Typer's own complaints about the command line; its class has no public name."""
    context = getattr(error, "ctx", None)
    for typers, plain in _WORDS:
        said = said.replace(typers, plain)
    talk(mask(f"Error: {said}"))
    talk(f"See: {context.command_path if context else called} --help")
    return 2


def _show_traceback(error: Exception, debug: bool) -> None:
    """Where `error` came from: for one that is foreseen, the way through this program is enough."""
    if not debug:
        return
    told = traceback.TracebackException.from_exception(error)
    if isinstance(error, CopilotProxyError):
        one: traceback.TracebackException | None = told
        while one is not None:
            own = [frame for frame in one.stack if frame.filename.startswith(_OWN)]
            one.stack = traceback.StackSummary.from_list(own)
            one = one.__cause__ or one.__context__
    typer.echo(mask("".join(told.format())).rstrip(), err=True)

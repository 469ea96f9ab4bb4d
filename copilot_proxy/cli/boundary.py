"""The one place that turns failures into a sentence and an exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

import typer

from copilot_proxy.cli.console import problem, talk
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask

INTERRUPTED: Final = 130


def guard(command: Callable[[], object], *, debug: bool) -> int:
    """Runs `command` and returns the exit code, whatever it raises."""
    # Without a handler of its own, Python would write warnings between a command's lines.
    logging.getLogger("copilot_proxy").addHandler(logging.NullHandler())
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has gone. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        talk()
        return INTERRUPTED
    except CopilotProxyError as error:
        _show_traceback(debug)
        problem(error)
        return error.exit_code
    except Exception as error:
        return _other(error, debug)
    return code if isinstance(code, int) else 0


def _other(error: Exception, debug: bool) -> int:
    said = getattr(error, "format_message", None)
    if callable(said):
        return _wrong_usage(error, str(said()))
    _show_traceback(debug)
    name = type(error).__name__
    talk(f"Error: something unexpected happened in copilot-proxy ({name}).")
    if not debug:
        talk("Run the same command again with --debug to see where, and please report it.")
    return 1


def _wrong_usage(error: Exception, said: str) -> int:
    """Typer's own complaints about the command line; its class has no public name."""
    context = getattr(error, "ctx", None)
    talk(f"Error: {said}")
    path = context.command_path if context else "copilot-proxy"
    talk(f"See: {path} --help")
    return 2


def _show_traceback(debug: bool) -> None:
    if debug:
        talk(mask(traceback.format_exc()).rstrip())

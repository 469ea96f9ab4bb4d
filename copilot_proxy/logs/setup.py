"""Sets up logging: to stderr, and to the log file if there is one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from copilot_proxy.logs.background import BackgroundHandler
from copilot_proxy.logs.json_format import JsonFormatter
from copilot_proxy.logs.log_file import LogFile
from copilot_proxy.logs.reporter import REQUESTS, Reporter
from copilot_proxy.logs.stderr import StderrHandler
from copilot_proxy.logs.text_format import TextFormatter
from copilot_proxy.terminal import can_style, terminal_width

_LEVELS: Final = {
    "": logging.WARNING,
    REQUESTS: logging.INFO,
    "copilot_proxy.cli": logging.INFO,
    "copilot_proxy.server": logging.INFO,
    "copilot_proxy.middleware.access": logging.INFO,
}
_SERVER: Final = "uvicorn.error"
_OMITTED: Final = (
    "Unsupported upgrade request",
    "No supported WebSocket library",
    "Invalid HTTP request",
)
"""The first words of uvicorn's messages that duplicate our own log lines."""


@contextmanager
def logging_to_stderr(form: str, reporter: Reporter, file: LogFile | None = None) -> Iterator[None]:
    """Log to stderr and to `file` while the block runs; `form` is ``text`` or ``json``.

    Both are written in the background. At the end of the block, this waits up to a second for each
    of them to be written.
    """
    screen = StderrHandler()
    screen.setFormatter(
        JsonFormatter()
        if form == "json"
        else TextFormatter(color=can_style(), announce=True, width=terminal_width)
    )
    handlers = [
        BackgroundHandler(screen, if_slow="stderr was not being read", abandon=screen.abandon)
    ]
    if file is not None:
        file.setFormatter(JsonFormatter() if form == "json" else TextFormatter(dated=True))
        handlers.append(BackgroundHandler(file, if_slow="the log file could not keep up"))
    root = logging.getLogger()
    # Our lines do not show these, and determining them takes half the time of creating a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in _LEVELS]
    for handler in handlers:
        handler.addFilter(lambda entry: _is_wanted(entry, reporter))
        root.addHandler(handler)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        reporter.flush()
        for handler in handlers:
            root.removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)
        for handler in handlers:
            handler.close()


def _is_wanted(entry: logging.LogRecord, reporter: Reporter) -> bool:
    if entry.name == REQUESTS:
        return True
    reporter.flush()  # keeps the lines in order
    if entry.name == _SERVER and entry.getMessage().startswith(_OMITTED):
        return False
    # Omit errors caused by cutting off a request: the request's own line already says so.
    cancelled = entry.exc_info and entry.exc_info[0] and entry.exc_info[0].__name__
    return not (reporter.is_cutting and (cancelled == "CancelledError" or entry.name == "asyncio"))

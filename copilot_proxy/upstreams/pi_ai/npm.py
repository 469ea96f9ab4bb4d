"""npm, run for one thing at a time, and its failures in words."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask
from copilot_proxy.upstreams.pi_ai.interrupts import uninterrupted

_FLAGS: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--no-update-notifier",
    "--loglevel=error",
    # Without a network, its own patience is more than a minute, in which it says nothing.
    "--fetch-retries=3",
    "--fetch-retry-factor=3",
    "--fetch-retry-mintimeout=1000",
    "--fetch-timeout=60000",
)
_PATIENCE: Final = 900
"""Seconds that it may take."""
_MOST_WORDS: Final = 400
_PREFIX: Final = re.compile(r"^npm (?:error|ERR!)(?: code)? ?", re.MULTILINE)
_ITS_LOG: Final = re.compile(r"^A complete log of this run .*", re.MULTILINE | re.DOTALL)
_WHICH: Final = "`npm config get registry` tells which one it is."
_MEANINGS: Final[Sequence[tuple[str, str, str]]] = (
    (
        r"ENOSPC|EDQUOT",
        "The disk is full.",
        "About 250 MB are needed, in the data folder and in npm's cache.",
    ),
    (
        r"\w*CERT(?:_\w+)?\b|UNABLE_TO_(?:GET|VERIFY)_\w+",
        "npm does not trust the certificate of its registry.",
        "A company proxy may be in between: npm config set cafile FILE, with a file of your "
        "company's certificate authority.",
    ),
    (r"E404|ETARGET", "The registry that npm is set to does not have one of the packages.", _WHICH),
    (r"E401|E403|ENEEDAUTH", "The registry that npm is set to does not let you in.", _WHICH),
    (
        r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH"
        r"|ERR_SOCKET_TIMEOUT|FETCH_ERROR",
        "npm cannot reach its registry.",
        "Check the network. Behind a company proxy, set HTTPS_PROXY.",
    ),
)
"""Patterns of npm's codes, in the order in which they are looked for, what they mean and a hint."""


class Npm:
    """The npm on the PATH; `environ` is what it sees of the environment.

    Raises `CopilotProxyError` if there is none.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = shutil.which("npm")
        if found is None:
            raise CopilotProxyError(
                "npm is not on the PATH.",
                hint="It comes with Node; some systems have it in a package of its own.",
            )
        self._path = found
        self._environ = environ

    def run(self, folder: Path, *arguments: str) -> None:
        """Runs it in `folder`, without scripts of packages; raises `CopilotProxyError`.

        What interrupts this ends npm as well.
        """
        process = None
        try:
            # A process that is just starting when Ctrl+C comes would be nobody's.
            with uninterrupted():
                process = self._start(folder, arguments)
            said, complained = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise CopilotProxyError("npm took too long.", hint="Check the network.") from None
        except OSError as error:
            raise CopilotProxyError(
                f"{self._path} cannot be run: {error.strerror}.", hint="Install Node anew."
            ) from None
        finally:
            if process is not None:
                process.kill()  # does nothing to one that has ended
                with process:  # closes what leads to it, and waits
                    pass
        if process.returncode:
            raise failure(f"{complained}\n{said}")

    def _start(self, folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603  # npm, with arguments of our own
            [self._path, *arguments, *_FLAGS],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=self._environ,
        )


def failure(words: str) -> CopilotProxyError:
    """The error for what npm said."""
    for pattern, message, hint in _MEANINGS:
        if re.search(rf"\b(?:{pattern})", words):
            return CopilotProxyError(message, hint=hint)
    said = " ".join(_ITS_LOG.sub("", _PREFIX.sub("", words.strip())).split())[:_MOST_WORDS]
    return CopilotProxyError(
        f"npm failed: {mask(said) or 'it does not say why'}", hint="Nothing was installed."
    )


def environment(given: Mapping[str, str], authorities: str | None) -> dict[str, str]:
    """The environment `given`, as npm may see it: it has no use for a token of GitHub's. It trusts
    a file of certificate `authorities` as well."""
    seen = {name: v for name, v in given.items() if not name.startswith("COPILOT_PROXY_")}
    if authorities:
        seen.setdefault("NODE_EXTRA_CA_CERTS", authorities)
    return seen

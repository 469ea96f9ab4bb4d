"""Runs npm, and maps its errors to `CopilotProxyError`."""

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
    # By default, npm retries silently for more than a minute if there is no network.
    "--fetch-retries=3",
    "--fetch-retry-factor=3",
    "--fetch-retry-mintimeout=1000",
    "--fetch-timeout=60000",
)
_TIMEOUT: Final = 900
"""Maximum seconds that npm may run."""
_MAX_OUTPUT: Final = 400
_PREFIX: Final = re.compile(r"^npm (?:error|ERR!)(?: code)? ?", re.MULTILINE)
_LOG_FILE: Final = re.compile(r"^A complete log of this run .*", re.MULTILINE | re.DOTALL)
_REGISTRY_HINT: Final = "Check your registry with: npm config get registry"
_ERRORS: Final[Sequence[tuple[str, str, str]]] = (
    (
        r"ENOSPC|EDQUOT",
        "The disk is full.",
        "Free about 250 MB for the data folder and npm's cache.",
    ),
    (
        r"\w*CERT(?:_\w+)?\b|UNABLE_TO_(?:GET|VERIFY)_\w+",
        "npm does not trust the certificate of its registry.",
        "A company proxy may be intercepting the connection. Give npm a file with your company's "
        "certificate authority: npm config set cafile FILE",
    ),
    (r"E404|ETARGET", "One of the packages is not in your npm registry.", _REGISTRY_HINT),
    (r"E401|E403|ENEEDAUTH", "Your npm registry denied access.", _REGISTRY_HINT),
    (
        r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH"
        r"|ERR_SOCKET_TIMEOUT|FETCH_ERROR",
        "npm cannot reach its registry.",
        "Check the network. Behind a company proxy, set HTTPS_PROXY.",
    ),
)
"""Patterns for npm's error codes, in search order, each with a message and a hint."""


class Npm:
    """The npm on the PATH, which runs with the environment `environ`.

    Raises `CopilotProxyError` if there is no npm.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = shutil.which("npm")
        if found is None:
            raise CopilotProxyError(
                "npm is not on the PATH.",
                hint="Install npm. It comes with Node, but is a separate package on some systems.",
            )
        self._path = found
        self._environ = environ

    def run(self, folder: Path, *arguments: str) -> None:
        """Run npm in `folder`, without running packages' scripts. Raises `CopilotProxyError`.

        If the call is interrupted, npm is killed.
        """
        process = None
        try:
            # Otherwise, if Ctrl+C arrived during the start, the process could not be killed later.
            with uninterrupted():
                process = self._start(folder, arguments)
            output, errors = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise CopilotProxyError("npm took too long.", hint="Check the network.") from None
        except OSError as error:
            raise CopilotProxyError(
                f"{self._path} cannot be run: {error.strerror}.", hint="Reinstall Node."
            ) from None
        finally:
            if process is not None:
                process.kill()  # has no effect if the process has exited
                with process:  # closes its pipes and waits for it
                    pass
        if process.returncode:
            raise npm_error(f"{errors}\n{output}")

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


def npm_error(output: str) -> CopilotProxyError:
    """Return the error that npm's output reports."""
    for pattern, message, hint in _ERRORS:
        if re.search(rf"\b(?:{pattern})", output):
            return CopilotProxyError(message, hint=hint)
    text = " ".join(_LOG_FILE.sub("", _PREFIX.sub("", output.strip())).split())[:_MAX_OUTPUT]
    return CopilotProxyError(
        f"npm failed: {mask(text) or 'no reason given'}", hint="Nothing was installed."
    )


def npm_environment(environ: Mapping[str, str], certificate_file: str | None) -> dict[str, str]:
    """Return the environment for npm: `environ` without our settings, which may contain secrets.

    npm also trusts the certificate authorities in `certificate_file`.
    """
    passed = {name: v for name, v in environ.items() if not name.startswith("COPILOT_PROXY_")}
    if certificate_file:
        passed.setdefault("NODE_EXTRA_CA_CERTS", certificate_file)
    return passed

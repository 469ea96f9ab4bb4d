"""Lets commands find a server that is already running on this machine."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server.port_owner import read_health
from copilot_proxy.settings import Settings

_HEALTH_TIMEOUT: Final = 3.0
_TIMEOUT: Final = 60.0
"""Seconds to wait for the models, which the server may have to request from GitHub."""
_MAX_BYTES: Final = 16 * 1024 * 1024
_INVALID_KEY: Final = "invalid_api_key"


@dataclass(frozen=True)
class RunningServer:
    """A server that has responded."""

    url: str
    """The server's URL, without ``/v1``."""
    key: str | None
    """The API key to send; None if the settings do not require one."""
    simulated: bool
    prefix: str = ""
    """The path that clients add to the URL to identify themselves, such as ``/c/codex``."""
    profile: str | None = None
    instance: str | None = None
    """The id of a service; None if the server is not a service."""
    signed_in: str = "unknown"
    """The same values as in ``/health``."""
    last_error: str | None = None
    settings_read_at: float | None = None
    """Unix time when the server read its settings; None for a version without this field."""

    def models(self) -> Any:
        """Return the model list. Raises `CopilotProxyError`."""
        return self._get("/v1/models")

    def model(self, name: str) -> Any:
        """Return the model that `name` refers to. Raises `CopilotProxyError`."""
        return self._get(f"/v1/models/{quote(name)}")

    def refuses_key(self) -> bool:
        """Return whether the server has keys, but not the one in the settings, for example because
        it was started with --api-key."""
        try:
            self._get("/api/hello")
        except CopilotProxyError as error:
            return error.code == _INVALID_KEY
        return False

    def _get(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        connection = _connection(self.url, _TIMEOUT)
        try:
            connection.request("GET", self.prefix + path, headers=headers)
            response = connection.getresponse()
            status, body = response.status, json.loads(response.read(_MAX_BYTES))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise CopilotProxyError(
                f"The server at {self.url} is not responding: {error}."
            ) from None
        finally:
            connection.close()
        if status == http.HTTPStatus.OK:
            return body
        raise _refusal(self, status, body)


def find_server(url: str, key: str | None) -> RunningServer | None:
    """Return the copilot-proxy server at `url`, or None if there is none."""
    health = read_health(_connection(url, _HEALTH_TIMEOUT))
    if health is None:
        return None
    return RunningServer(
        url,
        key,
        health["simulated"] is True,
        profile=health.get("profile"),
        instance=health.get("instance"),
        signed_in=health.get("signed_in", "unknown"),
        last_error=health.get("last_error"),
        settings_read_at=health.get("settings_read_at"),
    )


def has_old_config(settings: Settings, read_at: object) -> bool:
    """Return whether ``config.toml`` is newer than `read_at`, a server's `settings_read_at`."""
    if not isinstance(read_at, float | int):
        return False
    try:
        return settings.config_file.stat().st_mtime > read_at
    except OSError:
        return False


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    # No HTTP proxy, because the server is on this machine.
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)


def _refusal(server: RunningServer, status: int, body: Any) -> CopilotProxyError:
    url = server.url
    error = body.get("error") if isinstance(body, dict) else None
    found = error if isinstance(error, dict) else {}
    if status == http.HTTPStatus.UNAUTHORIZED and found.get("code") == _INVALID_KEY:
        return CopilotProxyError(
            f"The server at {url} requires {'a different' if server.key else 'an'} API key.",
            hint="Set COPILOT_PROXY_API_KEY to that key.",
            code=_INVALID_KEY,
        )
    if found.get("code") == "unknown_url":
        return CopilotProxyError(
            f"The server at {url} is older than this program and cannot tell clients apart.",
            hint="Restart it.",
        )
    message = str(found.get("message") or f"The server at {url} responded with status {status}.")
    hint = found.get("hint")
    if hint:
        message = message.removesuffix(f" {hint}")  # the message for clients includes the hint
    return CopilotProxyError(message, code=found.get("code"), hint=hint)

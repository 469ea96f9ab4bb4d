"""Loads the dashboard when it is first opened, so that it costs nothing until then."""

from typing import TYPE_CHECKING

from copilot_proxy.api_keys import ApiKey

if TYPE_CHECKING:
    from copilot_proxy.dashboard.dashboard import Dashboard
    from copilot_proxy.dashboard.sessions import Sessions
    from copilot_proxy.relay.relay import Relay
    from copilot_proxy.settings import Settings
    from copilot_proxy.upstreams.base import Upstream


class LazyDashboard:
    """A server's dashboard, and the sessions of the browsers signed in to it."""

    def __init__(
        self, settings: "Settings", relay: "Relay", upstream: "Upstream", *, simulated: bool
    ) -> None:
        self._arguments = settings, relay, upstream
        self._settings = settings
        self._simulated = simulated
        self._dashboard: Dashboard | None = None
        self._sessions: Sessions | None = None

    def get(self) -> "Dashboard":
        """Return the dashboard, loading it if necessary."""
        if self._dashboard is None:
            from copilot_proxy.dashboard.dashboard import Dashboard

            self._dashboard = Dashboard(*self._arguments, simulated=self._simulated)
        return self._dashboard

    @property
    def sessions(self) -> "Sessions":
        """The sessions, loaded if necessary."""
        if self._sessions is None:
            from copilot_proxy.dashboard.sessions import Sessions

            self._sessions = Sessions(self._settings.keys, self._settings.state_dir)
        return self._sessions

    def find_key(self, cookies: bytes) -> ApiKey | None:
        """Return the API key that a ``Cookie`` header represents, or None if it is invalid."""
        return self.sessions.find(cookies) if cookies else None

    def close(self) -> None:
        """End all streams, for example when the server stops."""
        if self._dashboard is not None:
            self._dashboard.close()

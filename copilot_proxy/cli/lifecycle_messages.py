"""The messages of ``serve`` about startup and shutdown, as text or log lines."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from copilot_proxy.cli.console import format_message, stderr_is_tty
from copilot_proxy.cli.default_model import default_model_warning
from copilot_proxy.errors import UpstreamError
from copilot_proxy.settings import Settings
from copilot_proxy.terminal import escape_controls

if TYPE_CHECKING:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.catalogue import Catalogue
    from copilot_proxy.server.ollama_port import OllamaPort

log = logging.getLogger(__name__)


class LifecycleMessages:
    """Prints or logs the server's lifecycle events; a closed terminal is not an error."""

    def __init__(
        self,
        settings: Settings,
        *,
        address: Callable[[], str],
        simulator: str | None,
        ollama: "OllamaPort | None" = None,
    ) -> None:
        """`address` returns the server's URL, without ``/v1``. `simulator` is the URL of the
        simulator, if one is used. `ollama` is the port for Ollama clients, if there is one."""
        self._settings = settings
        self._address = address
        self._simulator = simulator
        self._ollama = ollama

    def ready(
        self, catalogue: "Catalogue | None", error: UpstreamError | None, credential: "Credential"
    ) -> None:
        """Print the banner. If there is no catalogue, `error` says why."""
        from copilot_proxy.cli.banner import Banner, first_time_notice

        banner = Banner(
            settings=self._settings,
            address=self._address(),
            catalogue=catalogue,
            account=f"{credential.login} ({credential.host})" if credential.login else None,
            simulator=self._simulator,
            ollama=self._ollama.url if self._ollama is not None else None,
        )
        notice = None if self._simulator else first_time_notice(self._settings.data_dir)
        if notice:
            self._emit(notice + "\n", event="notice")
        self._emit(banner.text(), **banner.fields())
        if self._settings.upstream != "copilot":
            self._emit(
                f"Requests go to Copilot through {self._settings.upstream}.\n",
                event="upstream",
                upstream=self._settings.upstream,
            )
        if self._ollama is not None and self._ollama.problem:
            self._emit(
                f"{self._ollama.problem} Ollama clients must use {self._address()} instead.\n",
                event="ollama_port",
            )
        if self._settings.dump_dir:
            folder = self._settings.dump_dir.absolute()
            hours = f"{self._settings.dump_hours:g}"
            period = f"{hours} hour{'s' if hours != '1' else ''}"
            self._emit(
                f"Every conversation is written to {folder} and deleted after {period}.\n",
                event="dumps",
                dump_dir=str(folder),
            )
        if catalogue is None:
            self._emit(escape_controls(_no_catalogue_message(error)), event="offline")
        elif warning := default_model_warning(catalogue, self._settings):
            self._emit(escape_controls(f"{warning}\n"), event="default_model")

    def finishing(self, count: int) -> None:
        """Report that the server will stop once `count` open requests have finished."""
        requests = "open request" if count == 1 else "open requests"
        # Without a terminal, Ctrl+C is not available.
        again = "; press Ctrl+C again to stop now" if stderr_is_tty() else ""
        self._emit(
            f"Finishing {count} {requests}{again}.",
            event="finishing",
            open=count,
        )

    def cut(self, count: int) -> None:
        """Report that `count` open requests are being aborted."""
        requests = "open request" if count == 1 else "open requests"
        self._emit(f"Aborting {count} {requests}.", event="cut", open=count)

    def stopped(self) -> None:
        """Report that the server has stopped."""
        self._emit("Stopped.", event="stopped")

    def _emit(self, text: str, **fields: object) -> None:
        # Logging never waits for a terminal. The whole text goes to stderr, but only its first line
        # to the log file; JSON logs also contain the fields.
        line = text.strip().partition("\n")[0]
        log.info("%s", line, extra={"fields": fields, "announcement": format_message(text)})


def _no_catalogue_message(error: UpstreamError | None) -> str:
    """Explain why there is no model list, and when the server will work."""
    later = "Requests will work as soon as GitHub responds."
    if error is None:
        return f"GitHub has not responded yet. {later}"
    reason = error.message.rstrip()
    reason += "" if reason.endswith((".", "!", "?")) else "."
    hint = f"\n{error.hint}" if error.hint else ""
    return f"The list of models could not be loaded: {reason} {later}{hint}"

"""What `serve` says of itself, from the welcome to the end: to a person, or to a log's reader."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from copilot_proxy.cli.console import laid_out, someone_watches
from copilot_proxy.cli.default_model import not_the_wanted
from copilot_proxy.errors import UpstreamError
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.catalogue import Catalogue

log = logging.getLogger(__name__)


class Announcer:
    """Says what happens to the server; whoever listens may have gone."""

    def __init__(
        self, settings: Settings, *, address: Callable[[], str], simulator: str | None
    ) -> None:
        """`address` is where clients find the server, without ``/v1``; `simulator` is the
        simulator's, if it answers."""
        self._settings = settings
        self._address = address
        self._simulator = simulator

    def greet(
        self, catalogue: "Catalogue | None", trouble: UpstreamError | None, who: "Credential"
    ) -> None:
        """The welcome block; without a list of models, `trouble` says why there is none."""
        from copilot_proxy.cli.banner import Banner, first_time_notice

        welcome = Banner(
            settings=self._settings,
            address=self._address(),
            catalogue=catalogue,
            account=f"{who.login} ({who.host})" if who.login else None,
            simulator=self._simulator,
        )
        notice = None if self._simulator else first_time_notice(self._settings.data_dir)
        if notice:
            self._say(notice + "\n", event="notice")
        self._say(welcome.text(), **welcome.fields())
        if self._settings.upstream != "copilot":
            self._say(
                f"Copilot is asked through {self._settings.upstream}.\n",
                event="upstream",
                upstream=self._settings.upstream,
            )
        if self._settings.dump_dir:
            folder = self._settings.dump_dir.absolute()
            hours = f"{self._settings.dump_hours:g}"
            kept = f"{hours} hour{'s' if hours != '1' else ''}"
            self._say(
                f"Every conversation is written to {folder}, and removed after {kept}.\n",
                event="dumps",
                dump_dir=str(folder),
            )
        if catalogue is None:
            self._say(_offline(trouble), event="offline")
        elif other := not_the_wanted(catalogue, self._settings):
            self._say(f"{other}\n", event="default_model")

    def finishing(self, count: int) -> None:
        """`count` answers are open while the server wants to end."""
        answers = "open answer" if count == 1 else "open answers"
        # Without a terminal, or when it has been closed, there is nothing to press.
        again = "; press Ctrl+C again to stop now" if someone_watches() else ""
        self._say(
            f"Finishing {count} {answers}{again}.",
            event="finishing",
            open=count,
        )

    def cut(self, count: int) -> None:
        """`count` answers are not waited for any longer."""
        answers = "answer" if count == 1 else "answers"
        self._say(f"Cutting {count} {answers} that had not ended.", event="cut", open=count)

    def stopped(self) -> None:
        """All is over."""
        self._say("Stopped.", event="stopped")

    def _say(self, text: str, **fields: object) -> None:
        # Through the log, which waits for no terminal. On stderr, text is shown in full; the file
        # gets its first line, and JSON the fields as well.
        line = text.strip().partition("\n")[0]
        log.info("%s", line, extra={"fields": fields, "announcement": laid_out(text)})


def _offline(trouble: UpstreamError | None) -> str:
    """Why there is no list of models, and what becomes of it."""
    later = "The server answers as soon as GitHub does."
    if trouble is None:
        return f"GitHub has not answered yet. {later}"
    why = trouble.message.rstrip()
    why += "" if why.endswith((".", "!", "?")) else "."
    hint = f"\n{trouble.hint}" if trouble.hint else ""
    return f"The list of models cannot be had now: {why} {later}{hint}"

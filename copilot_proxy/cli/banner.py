"""The block that tells how to use the server, and the word to whoever starts it first."""

import json
import shlex
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from copilot_proxy import __version__
from copilot_proxy.cli.default_model import default_model
from copilot_proxy.cli.prices import is_included, price_text
from copilot_proxy.private_files import make_folder
from copilot_proxy.terminal import can_style

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.keys import ApiKey
    from copilot_proxy.settings import Settings

_SHOWN: Final = 3
_NOTICE_FILE: Final = "notice-shown"
_KEY_VARIABLE: Final = "COPILOT_PROXY_API_KEY"
_FAULT: Final = "server_error_500"
"""One that ends with the answer it spoils: what is refused for a time is not asked for again."""
_NOTICE: Final = (
    "copilot-proxy is not made or endorsed by GitHub. It speaks to Copilot the way editors do, as "
    "you and with your subscription: GitHub's terms apply, so keep it to yourself and use it as a "
    "person would. (This is said only once.)"
)


@dataclass(frozen=True, kw_only=True)
class Banner:
    """What a person needs to know to send the first request."""

    settings: "Settings"
    address: str
    """Without ``/v1``."""
    catalogue: "Catalogue | None"
    """None while the list of models cannot be had."""
    account: str | None = None
    simulator: str | None = None
    """The simulator's address, if it answers."""

    def text(self) -> str:
        """The block, for a person."""
        rows = [
            ("Base URL", _bold(f"{self.address}/v1")),
            ("API key", self._key()),
        ]
        if socket := self._socket():
            rows.insert(0, ("Socket", _bold(socket)))
        if self.settings.reaches_network:
            rows.append(("Network", self._network()))
        if self.account:
            rows.append(("Account", self.account))
        if models := self._models():
            shown = ", ".join(map(_with_price, models))
            rows.append(("Models", f"{shown}; all of them: {self._list()}"))
        lines = [f"copilot-proxy {__version__} is ready.", ""]
        lines += [f"  {name:<10} {value}" for name, value in rows]
        lines += ["", "  Try it:", f"  {self.curl()}", ""]
        if self.simulator:
            lines += [f"  {line}" for line in self._simulated(self.simulator)] + [""]
        return "\n".join([*lines, "  Stop with Ctrl+C.", ""])

    def fields(self) -> dict[str, Any]:
        """The same, for a program."""
        return {
            "event": "ready",
            "version": __version__,
            "base_url": f"{self.address}/v1",
            "uds": self._socket(),
            "key_required": bool(self.settings.keys),
            "models": [model.id for model in self._models()],
            "simulated": self.simulator is not None,
        }

    def curl(self) -> str:
        """A command line that gets a first answer."""
        models = self._models()
        body = json.dumps(
            {
                "model": models[0].id if models else "default",
                "messages": [{"role": "user", "content": "Hi"}],
            },
            separators=(",", ":"),
        )
        key = f'-H "Authorization: Bearer {self._placeholder()}" ' if self.settings.keys else ""
        socket = self._socket()
        through = f"--unix-socket {shlex.quote(socket)} " if socket else ""
        return f"curl {through}{self.address}/v1/chat/completions {key}-d {_quoted(body)}"

    def _socket(self) -> str | None:
        """The Unix socket, as it is found from any folder."""
        return str(self.settings.uds.absolute()) if self.settings.uds else None

    def _key(self) -> str:
        if not self.settings.keys:
            return "none needed; clients that insist on one may send any text"
        how = "required, as Authorization: Bearer KEY or x-api-key: KEY"
        told = []
        if self.settings.api_key:
            told.append(f"it is set by {self._source('api_key')}")
        if self.settings.api_keys:
            names = ", ".join(map(_with_limit, self.settings.api_keys))
            told.append(f"named by {self._source('api_keys')}: {names}")
        return "; ".join([how, *told])

    def _source(self, name: str) -> str:
        source = self.settings.sources.get(name, "default")
        return "--api-key" if source == "flag" else source

    def _network(self) -> str:
        """What is true of an address that others reach."""
        if self.settings.host.strip("[]") not in ("0.0.0.0", "::"):  # noqa: S104  # it is read here
            return "others reach it at the same address, and need the key"
        port = self.address.rpartition(":")[2]
        return (
            "it listens on all addresses of this machine; others use "
            f"http://<this machine>:{port}/v1, and need the key"
        )

    def _list(self) -> str:
        return f"copilot-proxy models{' --simulate' if self.simulator else ''}"

    def _placeholder(self) -> str:
        is_set = self.settings.sources.get("api_key") == _KEY_VARIABLE and sys.platform != "win32"
        return f"${_KEY_VARIABLE}" if is_set else "KEY"

    def _models(self) -> "list[Model]":
        return [] if self.catalogue is None else suggest(self.catalogue, self.settings)

    def _simulated(self, simulator: str) -> Iterable[str]:
        yield "Simulated: no account is used, and no model reads what you send."
        yield f"The simulator is at {simulator}. Make its next answer fail with:"
        yield f"curl -X PUT {simulator}/_simulator/faults/{_FAULT} -d {_quoted(_ONCE)}"
        yield "More such faults: copilot-proxy simulate --list-faults"


_ONCE: Final = '{"times":1}'


def suggest(catalogue: "Catalogue", settings: "Settings") -> "list[Model]":
    """Up to three models to begin with: the default, one that costs nothing, another vendor's."""
    usable = [model for model in catalogue if model.is_chat and not model.needs_enabling]
    usable.sort(key=lambda model: not model.is_picked)
    default = default_model(catalogue, settings)
    chosen = [default] if default in usable else []
    chosen += [model for model in usable if is_included(model) and model not in chosen][:1]
    for model in usable:
        if _maker(model) not in map(_maker, chosen):
            chosen.append(model)
    chosen += [model for model in usable if model not in chosen]
    return [model for model in chosen if model is not None][:_SHOWN]


def _with_limit(key: "ApiKey") -> str:
    return f"{key.name} ({', '.join(key.models)})" if key.models else str(key.name)


def _maker(model: "Model") -> str:
    """``OpenAI`` for ``Azure OpenAI``, too."""
    return model.vendor.rpartition(" ")[2]


def first_time_notice(data_dir: Path) -> str | None:
    """The notice if it has not been shown to this person yet; from now on it has."""
    marker = data_dir / _NOTICE_FILE
    if marker.exists():
        return None
    with suppress(OSError):  # a folder that cannot be written only means to be told again
        make_folder(data_dir)
        marker.touch(mode=0o600)
    return _NOTICE


def _bold(text: str) -> str:
    return typer.style(text, bold=True) if can_style() else text


def _with_price(model: "Model") -> str:
    price = price_text(model)
    return f"{model.id} ({price})" if price else model.id


def _quoted(body: str) -> str:
    """JSON as one word of the shell."""
    if sys.platform == "win32":
        return '"' + body.replace('"', '\\"') + '"'
    return f"'{body}'"

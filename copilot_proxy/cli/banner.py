"""The banner of ``serve``, which shows how to use the server, and the notice at the first start."""

import json
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from copilot_proxy import __version__
from copilot_proxy.cli.console import stderr_is_tty
from copilot_proxy.cli.default_model import default_model
from copilot_proxy.cli.prices import is_included, price_text
from copilot_proxy.model_choice import Kind, Size, of_brand, size_of
from copilot_proxy.private_files import make_folder
from copilot_proxy.terminal import can_style, escape_controls

if TYPE_CHECKING:
    from copilot_proxy.api_keys import ApiKey
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings

_MAX_SUGGESTIONS: Final = 3
_MAX_CLIENTS: Final = 4
_NOTICE_FILE: Final = "notice-shown"
_KEY_VARIABLE: Final = "COPILOT_PROXY_API_KEY"
_EXAMPLE_FAULT: Final = "server_error_500"
"""The simulated fault in the example. It affects a single request, whereas others, such as a rate
limit, would block all requests for a while."""
_NOTICE: Final = (
    "copilot-proxy is not made or endorsed by GitHub. It talks to Copilot the way editors do, on "
    "your behalf and with your subscription. GitHub's terms apply: do not share your subscription, "
    "and use it at a human pace. (This notice is shown only once.)"
)


@dataclass(frozen=True, kw_only=True)
class Banner:
    """Everything that the user needs to send the first request."""

    settings: "Settings"
    address: str
    """The server's URL, without ``/v1``."""
    catalogue: "Catalogue | None"
    """The account's models, or None if they could not be loaded."""
    account: str | None = None
    simulator: str | None = None
    """The URL of the simulator, if one is used."""
    ollama: str | None = None
    """The URL of the second port for Ollama clients, if there is one."""

    def text(self) -> str:
        """Return the banner as text."""
        rows = [
            ("Base URL", _bold(f"{self.address}/v1")),
            ("API key", self._key()),
        ]
        if socket := self._socket():
            rows.insert(0, ("Socket", _bold(socket)))
        if self.settings.ollama:
            rows.append(("Ollama", self.ollama or self.address))
        if self.settings.reaches_network:
            rows.append(("Network", self._network()))
        if self.account:
            rows.append(("Account", escape_controls(self.account)))
        if models := self._models():
            shown = escape_controls(", ".join(map(_with_price, models)))
            unit = "; prices per million input/output tokens" if "($" in shown else ""
            rows.append(("Models", f"{shown}{unit}; list all: {self._list_command()}"))
        if clients := self._clients():
            rows.append(("Clients", clients))
        lines = [f"copilot-proxy {__version__} is ready.", ""]
        lines += [f"  {name:<10} {value}" for name, value in rows]
        lines += ["", "  Try it:", *self._example(), ""]
        if self.simulator:
            lines += [f"  {line}" for line in self._simulated(self.simulator)] + [""]
        return "\n".join([*lines, "  Stop with Ctrl+C.", ""])

    def fields(self) -> dict[str, Any]:
        """Return the fields of the banner's JSON log line."""
        return {
            "event": "ready",
            "version": __version__,
            "base_url": f"{self.address}/v1",
            "uds": self._socket(),
            "ollama_url": (self.ollama or self.address) if self.settings.ollama else None,
            "key_required": bool(self.settings.keys),
            "models": [model.id for model in self._models()],
            "simulated": self.simulator is not None,
        }

    def _example(self) -> list[str]:
        """Return the curl command as indented lines."""
        return [f"  {line}" for line in _split(self.curl())]

    def curl(self) -> str:
        """Return a curl command that sends a first request."""
        body = json.dumps(
            # Not a model id, because the command must still work after models have retired.
            {"model": "default", "messages": [{"role": "user", "content": "Hi"}]},
            separators=(",", ":"),
        )
        key = f'-H "Authorization: Bearer {self._placeholder()}" ' if self.settings.keys else ""
        socket = self._socket()
        socket_flag = f"--unix-socket {shlex.quote(socket)} " if socket else ""
        return f"curl {socket_flag}{self.address}/v1/chat/completions {key}-d {_quoted(body)}"

    def _socket(self) -> str | None:
        """Return the absolute path of the Unix socket, if there is one."""
        return str(self.settings.uds.absolute()) if self.settings.uds else None

    def _key(self) -> str:
        if not self.settings.keys:
            return "not required; if a client insists on one, use any text"
        parts = ["required, as Authorization: Bearer KEY or x-api-key: KEY"]
        if self.settings.api_key:
            parts.append(f"set by {self._source('api_key')}")
        if self.settings.api_keys:
            names = ", ".join(map(_with_limit, self.settings.api_keys))
            parts.append(f"named keys from {self._source('api_keys')}: {names}")
        return "; ".join(parts)

    def _source(self, name: str) -> str:
        source = self.settings.sources.get(name, "default")
        return "--api-key" if source == "flag" else source

    def _network(self) -> str:
        """Describe how other machines can reach the server."""
        if self.settings.host.strip("[]") not in ("0.0.0.0", "::"):  # noqa: S104  # only compared
            return "other machines use the same URL, and need the key"
        port = self.address.rpartition(":")[2]
        return (
            "listening on all addresses of this machine; other machines use "
            f"http://<this machine>:{port}/v1, and need the key"
        )

    def _clients(self) -> str | None:
        """Explain how to start the clients on this machine. Returns None if there are none."""
        # Only shown on a terminal, because loading the client definitions takes time. If the port
        # was set by a flag, `run` and `connect` need a variable to find the server.
        flags = {name for name in ("host", "port") if self.settings.sources.get(name) == "flag"}
        has_variables = sys.platform != "win32" and flags == {"port"}
        if not stderr_is_tty() or self.settings.uds or (flags and not has_variables):
            return None
        port = f"COPILOT_PROXY_PORT={self.address.rpartition(':')[2]} " if flags else ""
        from copilot_proxy.clients.registry import RUNNABLE

        found = [one.word for one in RUNNABLE if any(map(shutil.which, one.programs))]
        if not found:
            return None
        more = f" and {len(found) - _MAX_CLIENTS} more" if len(found) > _MAX_CLIENTS else ""
        return (
            f"{', '.join(found[:_MAX_CLIENTS])}{more}: start one with {port}copilot-proxy run "
            f"{found[0]}, or configure it permanently with {port}copilot-proxy connect {found[0]}"
        )

    def _list_command(self) -> str:
        return f"copilot-proxy models{' --simulate' if self.simulator else ''}"

    def _placeholder(self) -> str:
        is_set = self.settings.sources.get("api_key") == _KEY_VARIABLE and sys.platform != "win32"
        return f"${_KEY_VARIABLE}" if is_set else "KEY"

    def _models(self) -> "list[Model]":
        return [] if self.catalogue is None else suggest(self.catalogue, self.settings)

    def _simulated(self, simulator: str) -> Iterable[str]:
        yield "Simulated: no account is used, and no model sees what you send."
        yield f"The simulator is at {simulator}. Make its next response fail with:"
        url = f"{simulator}/_simulator/faults/{_EXAMPLE_FAULT}"
        yield from _split(f"curl -X PUT {url} -d {_quoted(_ONCE)}")
        yield "List all faults: copilot-proxy simulate --list-faults"


_ONCE: Final = '{"times":1}'


def suggest(catalogue: "Catalogue", settings: "Settings") -> "list[Model]":
    """Return up to three models to start with: the default, a free one, and models of other
    vendors.

    Vendors with many models come first; models about to be retired and the most expensive ones come
    last. Each vendor's newest mid-sized model comes before its other models.
    """
    usable = [model for model in catalogue.chat if not model.needs_enabling]
    vendors = Counter(map(_short_vendor, usable))
    brands = {model.parts.brand for model in usable}
    main = [of_brand(catalogue, Kind(brand, Size.MIDDLE)) for brand in brands]
    usable.sort(
        key=lambda model: (
            model.retirement is not None or size_of(model) is Size.MOST_EXPENSIVE,
            not catalogue.is_picked(model),
            -vendors[_short_vendor(model)],
            model not in main,
        )
    )
    default = default_model(catalogue, settings)
    chosen = [default] if default in usable else []
    chosen += [model for model in usable if is_included(model) and model not in chosen][:1]
    for model in usable:
        if _short_vendor(model) not in map(_short_vendor, chosen):
            chosen.append(model)
    chosen += [model for model in usable if model not in chosen]
    return [model for model in chosen if model is not None][:_MAX_SUGGESTIONS]


def _split(curl: str) -> list[str]:
    """Split a curl command into lines that fit most terminals, since wrapped lines cannot be
    copied."""
    if sys.platform == "win32":
        return [curl]
    start, separator, body = curl.rpartition("-d ")
    return [f"{start}\\", f"  {separator}{body}"]


def _with_limit(key: "ApiKey") -> str:
    return f"{key.name} ({', '.join(key.models)})" if key.models else str(key.name)


def _short_vendor(model: "Model") -> str:
    """Return the vendor's short name, such as ``OpenAI`` for ``Azure OpenAI``."""
    return model.vendor.rpartition(" ")[2]


def first_time_notice(data_dir: Path) -> str | None:
    """Return the notice for the first start, or None if the user has seen it."""
    marker = data_dir / _NOTICE_FILE
    if marker.exists():
        return None
    with suppress(OSError):  # if the folder is not writable, the notice is shown again next time
        make_folder(data_dir)
        marker.touch(mode=0o600)
    return _NOTICE


def _bold(text: str) -> str:
    return typer.style(text, bold=True) if can_style() else text


def _with_price(model: "Model") -> str:
    price = price_text(model)
    return f"{model.id} ({price})" if price else model.id


def _quoted(body: str) -> str:
    """Quote JSON for the shell."""
    if sys.platform == "win32":
        return '"' + body.replace('"', '\\"') + '"'
    return f"'{body}'"

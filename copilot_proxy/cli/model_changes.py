"""Finds what has changed in the account's model list since the user last looked at it.

``models-seen.json`` in the state folder contains the ids, prices and retirements from the last
list of each GitHub host.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from copilot_proxy.cli.prices import price_text
from copilot_proxy.cli.retirements import retirement_date
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.file_locks import locked
from copilot_proxy.model_choice import Size, size_of
from copilot_proxy.model_names import successor
from copilot_proxy.private_files import (
    READ,
    failure_reason,
    make_folder,
    open_private,
    replace_private,
    write_hint,
)

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model

_FILE: Final = "models-seen.json"
_LOCK: Final = "models-seen.lock"
_MAX_BYTES: Final = 4 * 1024 * 1024


class SeenModel(NamedTuple):
    """The remembered data of a model."""

    price: str
    """The price, in the format of `price_text`."""
    retires: str | None
    """The day on which the model retires, "" if no date was announced, or None if the model is not
    being retired."""
    size: int | None = None
    """The model's `Size`; None in lists saved by earlier versions of this program."""


class SeenList(NamedTuple):
    """What is remembered of a model list."""

    at: datetime
    """When the list was remembered, with its time zone."""
    models: Mapping[str, SeenModel]


class Changes(NamedTuple):
    """The ids of changed models by kind of change, in the order of the model lists."""

    added: list[str]
    gone: list[str]
    retiring: list[str]
    """Models whose retirement was announced or rescheduled."""
    prices: list[str]

    def __bool__(self) -> bool:
        return any(self)


def seen_list(catalogue: "Catalogue", now: datetime | None = None) -> SeenList:
    """Return the data to remember about `catalogue`."""
    return SeenList(
        now or datetime.now(UTC),
        {
            model.id: SeenModel(
                price_text(model),
                model.retirement and str(model.retirement.on or ""),
                size_of(model).value,
            )
            for model in catalogue.usable
        },
    )


def compare(before: SeenList, now: SeenList) -> Changes:
    """Return the differences between two lists."""
    both = [(name, before.models[name]) for name in now.models if name in before.models]
    return Changes(
        added=[name for name in now.models if name not in before.models],
        gone=[name for name in before.models if name not in now.models],
        retiring=[
            name for name, old in both if now.models[name].retires not in (None, old.retires)
        ],
        prices=[name for name, old in both if now.models[name].price != old.price],
    )


def load(folder: Path, host: str) -> SeenList | None:
    """Return the list remembered for `host`, or None if there is no valid one."""
    entry: Any = _read(folder / _FILE).get(host)
    try:
        models = {
            str(name): SeenModel(
                str(one["price"]), _text_or_none(one["retires"]), _size_or_none(one.get("size"))
            )
            for name, one in entry["models"].items()
        }
        return SeenList(datetime.fromisoformat(entry["at"]).astimezone(), models)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def save(folder: Path, host: str, seen: SeenList) -> None:
    """Remember the model list of `host`. Raises `CopilotProxyError` if it cannot be written."""
    path = folder / _FILE
    models = {name: model._asdict() for name, model in seen.models.items()}
    try:
        make_folder(folder)
        with locked(folder / _LOCK):  # another profile may save the list of another host
            hosts = {**_read(path), host: {"at": _timestamp(seen.at), "models": models}}
            replace_private(path, json.dumps(hosts).encode())
    except OSError as error:
        raise CopilotProxyError(
            f"{path} cannot be written: {failure_reason(error)}.",
            hint=write_hint(error),
        ) from error


def lines(changes: Changes, before: SeenList, catalogue: "Catalogue") -> list[str]:
    """Return the changes as text, one line per change."""
    prices = {model.id: price_text(model) for model in catalogue.usable}
    found = [f"added    {name}{_in_brackets(prices[name])}" for name in changes.added]
    for name in changes.gone:
        heir = _successor(catalogue, name, before)
        found.append(f"removed  {name}{f'; its successor is {heir.id}' if heir else ''}")
    for name in changes.retiring:
        model = catalogue.get(name)
        found.append(f"retires  {name} {model and retirement_date(catalogue, model)}")
    for name in changes.prices:
        old, new = before.models[name].price or "unknown", prices[name] or "unknown"
        found.append(f"price    {name}: was {old}, now {new}")
    return ["".join(c if c.isprintable() else "?" for c in line) for line in found]


def as_json(changes: Changes, before: SeenList, catalogue: "Catalogue") -> dict[str, Any]:
    """Return the changes in the format of ``--json``."""
    now = seen_list(catalogue)

    def heir(name: str) -> str | None:
        model = _successor(catalogue, name, before)
        return model.id if model is not None else None

    return {
        "since": _timestamp(before.at),
        "added": [{"id": name, "price": now.models[name].price} for name in changes.added],
        "gone": [{"id": name, "successor": heir(name)} for name in changes.gone],
        "retiring": [
            {"id": name, "retires_on": now.models[name].retires or None, "successor": heir(name)}
            for name in changes.retiring
        ],
        "prices": [
            {"id": name, "before": before.models[name].price, "now": now.models[name].price}
            for name in changes.prices
        ],
    }


def _timestamp(at: datetime) -> str:
    """Return the time in UTC, such as ``2026-11-29T12:00:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _successor(catalogue: "Catalogue", name: str, before: SeenList) -> "Model | None":
    size = before.models[name].size
    return successor(catalogue, name, None if size is None else Size(size))


def _read(path: Path) -> dict[str, Any]:
    """Return the content of the file, or an empty dictionary if it is missing or invalid."""
    try:
        with open(open_private(path, READ), encoding="utf-8") as file:
            content = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _size_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and value in tuple(Size) else None


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""

"""Profiles: accounts that a user keeps separate, each with its own port, token and ledger."""

import os
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from copilot_proxy.errors import UsageError

TABLE: Final = "profiles"
"""The table in ``config.toml`` that contains a table for each profile."""
DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_FIRST_PORT: Final = 8100
_PORTS: Final = 900


def profile(value: object) -> str | None:
    """Parse the name of a profile. Return None for the default profile. Raises `ValueError`."""
    if not isinstance(value, str) or not (value == "" or _NAME.fullmatch(value)):
        raise ValueError(
            "expected a name of up to 32 lowercase letters, digits, dashes and underscores"
        )
    return None if value in ("", DEFAULT) else value


def default_port(name: str) -> int:
    """Return the port of a profile that does not set one. It is from 8100 to 8999, and depends only
    on the name."""
    return _FIRST_PORT + crc32(name.encode()) % _PORTS


def folder_of(top: Path, name: str | None) -> Path:
    """Return the profile's folder in `top` or, for the default profile, `top` itself."""
    return top / "profiles" / name if name else top


def names_in(*tops: Path) -> list[str]:
    """Return the names of all named profiles that have a folder in any of `tops`."""
    found: set[str] = set()
    for top in tops:
        with suppress(OSError):  # usually, the folder does not exist; `doctor` reports other errors
            found.update(os.listdir(top / "profiles"))
    return sorted(name for name in found if _NAME.fullmatch(name))


@dataclass(frozen=True)
class Config:
    """The settings in ``config.toml``: those at the top level, and the table of each profile."""

    top: Mapping[str, object]
    tables: Mapping[str, Mapping[str, object]]

    def names(self, file: Path) -> Iterator[tuple[str, str]]:
        """Yield (place, name) for each setting. The place is text for error messages."""
        yield from ((str(file), name) for name in self.top)
        for profile, table in self.tables.items():
            yield from ((_place(profile, file), name) for name in table)

    def settings(
        self, profile: str | None, own: Container[str], file: Path
    ) -> dict[str, tuple[object, str]]:
        """Return the settings of a profile (None for the default), with the source of each.

        Named profiles do not inherit the settings in `own` from the top level of the file.
        """
        shared = {
            name: (value, str(file))
            for name, value in self.top.items()
            if profile is None or name not in own
        }
        if profile is None:
            return shared
        place = _place(profile, file)
        table = self.tables.get(profile, {})
        return {**shared, **{name: (value, place) for name, value in table.items()}}


def _place(name: str, file: Path) -> str:
    return f"[{TABLE}.{name}] in {file}"


def split(content: Mapping[str, object], file: Path) -> Config:
    """Return the settings in the parsed ``config.toml``. Raises `UsageError`."""
    found = content.get(TABLE, {})
    if not isinstance(found, dict):
        raise UsageError(
            f"{TABLE} in {file} is not a table.",
            hint="Write [profiles.work], with its settings below it.",
        )
    for name, table in found.items():
        try:
            usable = profile(name)
        except ValueError as error:
            raise UsageError(f"The name of a profile in {file} is invalid: {error}.") from None
        if usable is None or not isinstance(table, dict):
            raise UsageError(
                f"{name} in {TABLE} of {file} is not a profile.",
                hint="Write [profiles.work], with its settings below it. Those of the default "
                "profile go at the top of the file.",
            )
    top = {name: value for name, value in content.items() if name != TABLE}
    return Config(top, found)

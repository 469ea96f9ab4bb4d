"""The program's folders, either in the operating system's usual places or all in `home_dir`."""

from pathlib import Path
from typing import Final

import platformdirs

_APP: Final = "copilot-proxy"


def config_dir(home_dir: Path | None) -> Path:
    """Return the folder of ``config.toml``."""
    return home_dir or Path(platformdirs.user_config_dir(_APP, appauthor=False))


def state_dir(home_dir: Path | None) -> Path:
    """Return the folder with the default profile's state."""
    return home_dir or Path(platformdirs.user_state_dir(_APP, appauthor=False))


def data_dir(home_dir: Path | None) -> Path:
    """Return the folder with the data of all profiles and the default profile's token file."""
    return home_dir or Path(platformdirs.user_data_dir(_APP, appauthor=False))

"""The path of Python in a service definition must survive an upgrade."""

from pathlib import Path

import pytest

from copilot_proxy.service.python_path import stable_path


def install(folder: Path, link: Path | None = None) -> str:
    """Create an installation in `folder`; return the path of its Python."""
    python = folder / "bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    if link:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
    return str(python)


@pytest.mark.parametrize(
    ("versions", "link"),
    [
        ("mise/installs/pipx-g-copilot-proxy", "mise/installs/pipx-g-copilot-proxy/latest"),
        ("homebrew/Cellar/g-copilot-proxy", "homebrew/opt/g-copilot-proxy"),
    ],
)
def test_the_newest_version_is_started(tmp_path: Path, versions: str, link: str) -> None:
    """With mise and Homebrew, the path leads to the new version once it is installed."""
    lasting = stable_path(install(tmp_path / versions / "0.1.0", tmp_path / link))
    newer = install(tmp_path / versions / "0.2.0", tmp_path / link)

    assert str(tmp_path / link / "bin/python") == lasting
    assert Path(newer) == Path(lasting).resolve()


@pytest.mark.parametrize("versions", ["tools/g-copilot-proxy", "homebrew/Cellar/g-copilot-proxy"])
def test_other_paths_stay(tmp_path: Path, versions: str) -> None:
    """Without a link, or with a link to another version, the path is unchanged."""
    alone = install(tmp_path / versions / "0.1.0")
    assert alone == stable_path(alone)

    install(tmp_path / versions / "0.2.0", tmp_path / versions / "latest")
    assert alone == stable_path(alone)

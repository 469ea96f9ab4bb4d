"""Raising the limit on open files."""

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="Windows has no such limit")


@pytest.mark.parametrize(
    ("soft", "hard", "then"), [(256, 600, 600), (600, 600, 600), (256, 70_000, 65_536)]
)
def test_the_limit_is_raised(soft: int, hard: int, then: int) -> None:
    """The limit is raised, but not above the hard limit or a useful maximum, and never lowered."""
    import resource

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this system permits fewer")
    code = (
        "import resource, sys\n"
        "from copilot_proxy.server.file_limits import raise_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "raise_limit()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(then), str(hard)]


def test_a_system_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS refuses more than 10,240 although it reports no limit, so 10,240 is set."""
    import resource

    from copilot_proxy.server.file_limits import raise_limit

    asked: list[tuple[int, int]] = []

    def set_limit(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        if limits[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    raise_limit()
    assert [soft for soft, _ in asked] == [65_536, 10_240]


def test_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without a limit on open files, nothing is done."""
    from copilot_proxy.server.file_limits import raise_limit

    monkeypatch.setitem(sys.modules, "resource", None)
    raise_limit()

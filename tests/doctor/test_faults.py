"""``doctor``: each planted fault is found, and a remedy is suggested."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.doctor.checks import CHECKS
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Cli, cli
from tests.doctor import account_faults, machine_faults, service_faults
from tests.doctor.faults import FAULTS, Fault
from tests.doctor.machine import Machine

__all__ = ["account_faults", "cli", "machine_faults", "service_faults"]

TITLES = {one.name: one.title for one in CHECKS} | {
    f"client-{one.name}": one.title for one in CLIENTS
}
CODES = {"warning": 1, "broken": 2}
SECRETS = ("secret-word", "ghu_", "ghp_", "a-key-for-clients")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine without problems."""
    with Simulator(pace=0) as simulator, Machine(tmp_path, monkeypatch, simulator) as made:
        yield made


def test_a_machine_without_problems(machine: Machine, cli: Cli) -> None:
    """Without a planted fault, the doctor finds nothing that could affect the tests below."""
    ran = cli("doctor")
    assert (0, "") == (ran.code, ran.err)
    assert "No problems found.\n" in ran.out
    assert "warning" not in ran.out


def test_correct_settings_are_not_reported(machine: Machine, cli: Cli) -> None:
    """Model families, aliases, and the settings of other servers are accepted."""
    machine.config('default_model = "mine"\nsmall_model = "gpt-mini"\n[aliases]\nmine = "opus"\n')
    machine.set(budget="500/day", host="::1")
    machine.client("opencode", "1.99.0")
    machine.file(
        ".config/opencode/opencode.json",
        {"model": "ollama/wizard-7", "provider": {"ollama": {"baseURL": "http://box:11434/v1"}}},
    )
    ran = cli("doctor")
    assert 0 == ran.code, ran.out


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_it_finds_a_fault(fault: Fault, machine: Machine, cli: Cli) -> None:
    fault.plant(machine)
    ran = cli("doctor")
    problem = " ".join(ran.out.split("\n\n")[0].split())
    start = f"{fault.status} {TITLES[fault.check]}: "
    assert problem.startswith(start), ran.out
    what, _, _ = problem.removeprefix(start).rpartition(fault.remedy)
    assert what, ran.out
    assert all(text in " ".join(ran.out.split()) for text in machine.expected)
    # No other problem is reported.
    assert f"\n1 {fault.status}: {TITLES[fault.check]}\n" in ran.out
    assert CODES[fault.status] == ran.code
    assert not any(secret in ran.out + ran.err for secret in SECRETS)
    assert all(len(line) <= 80 for line in ran.out.splitlines() if not line.startswith("  "))

"""``doctor``: its output formats, ``--fix``, and checks that fail unexpectedly."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.doctor import accounting, files, runner
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Check, Result, Status, ok, warning
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN
from tests.cli.conftest import Cli, cli
from tests.conftest import Proxy, settings_at
from tests.doctor import account_faults as account
from tests.doctor import machine_faults as faults
from tests.doctor.machine import Machine, environment
from tests.doctor.service_faults import install
from tests.doctor.test_faults import machine

__all__ = ["cli", "machine"]


def found(cli: Cli, *arguments: str) -> dict[str, Any]:
    """Return the output of ``--json``."""
    output: dict[str, Any] = json.loads(cli("doctor", "--json", *arguments).out)
    return output


def test_several_problems_begin_with_the_worst(machine: Machine, cli: Cli) -> None:
    """Problems come first, and the last line names them, since they may have scrolled away."""
    faults.dumps_left_on(machine)
    account.revoked_token(machine)
    ran = cli("doctor")
    assert 2 == ran.code
    worst, other, passed, summary = ran.out.split("\n\n")
    assert passed.startswith("ok ")
    assert worst.startswith("broken ")
    assert other.startswith("warning ")
    # The problem comes before its remedy.
    assert worst.index("Sign-in: ") < worst.index("copilot-proxy login")
    assert "1 broken, 1 warning: Sign-in, Dumps\n" == summary
    # Problems that depend on the sign-in are not reported separately.
    assert "not checked: Copilot, Quota, Models, Unknown values" in ran.out


def test_all_invalid_settings_are_named_at_once(machine: Machine, cli: Cli) -> None:
    machine.config('workers = 0\ncolour = "red"\n')
    machine.set(keep_alive="soon")
    output = found(cli)
    said = [one["what"] for one in output["checks"] if one["name"] == "settings"]
    assert 3 == len(said)
    for name in ("workers", "colour", "COPILOT_PROXY_KEEP_ALIVE"):
        assert any(name in text for text in said)
    # The invalid settings may include the addresses, so no token is sent anywhere.
    assert not machine.simulator.state.requests


def test_json_has_all_keys(machine: Machine, cli: Cli) -> None:
    output = found(cli)
    assert {"status", "version", "checks", "left_by_uninstall"} == output.keys()
    assert "ok" == output["status"]
    assert all(
        {"name", "title", "status", "what", "remedy"} == one.keys() for one in output["checks"]
    )
    assert {"ok"} == {one["status"] for one in output["checks"]}


def test_it_makes_no_more_calls_than_status_and_models(machine: Machine, cli: Cli) -> None:
    cli("doctor")
    asked = sorted(one.path for one in machine.simulator.state.requests)
    assert ["/copilot_internal/user", "/copilot_internal/v2/token", "/models"] == asked


def test_fix_makes_files_private(machine: Machine, cli: Cli) -> None:
    path = machine.config('api_key = "a-key-for-clients"\n', 0o644)
    ran = cli("doctor", "--fix")
    assert 0 == ran.code
    assert ran.out.startswith("fixed ")
    assert 0o600 == path.stat().st_mode & 0o777
    assert "1 fixed" in ran.out
    assert "No problems found." in cli("doctor").out


def test_fix_sets_a_damaged_ledger_aside(machine: Machine, cli: Cli) -> None:
    faults.ledger_is_no_database(machine)
    content = faults.ledger_of(machine).read_bytes()
    assert 0 == cli("doctor", "--fix").code
    (aside,) = machine.home.glob("ledger-damaged-*")
    assert content == aside.read_bytes()
    assert not faults.ledger_of(machine).exists()


def test_fix_leaves_the_ledger_to_a_server_that_runs(machine: Machine, cli: Cli) -> None:
    faults.ledger_is_no_database(machine)
    with Proxy(settings_at(machine.simulator)) as server:
        machine.set(port=server.url.rpartition(":")[2])
        ran = cli("doctor", "--fix")
    assert 2 == ran.code
    assert "Stop the server" in ran.out
    assert faults.ledger_of(machine).exists()


def test_the_simulator_changes_no_settings(machine: Machine, cli: Cli) -> None:
    """The settings that point to the simulator are not counted as the user's."""
    own = [name for name in os.environ if re.match("COPILOT_PROXY_(?!GITHUB)", name)]
    checks = found(cli, "--simulate")["checks"]
    [said] = [one["what"] for one in checks if one["name"] == "settings"]
    assert said.endswith(f"; {len(own)} settings changed")


def test_the_simulators_budget(machine: Machine, cli: Cli) -> None:
    """The advice is about the simulator's limits, not about those of the account."""
    machine.sign_out()
    cli("budget", "set", "0/day", "--simulate")
    ran = cli("doctor", "--simulate")
    assert 1 == ran.code
    assert "Run: copilot-proxy budget raise --simulate 1\n" in ran.out


def test_a_missing_home_folder(machine: Machine) -> None:
    """The remedy does not make the whole disk writable."""
    machine.patch.setattr(files, "unwritable", lambda folder: "Permission denied")
    machine.set(home_dir="/home-of-nobody/copilot-proxy")
    results = list(files.check_folders(CheckContext(load_settings())))
    assert {
        "Create /home-of-nobody/copilot-proxy, or choose another one with COPILOT_PROXY_HOME_DIR."
    } == {one.remedy for one in results if one.status == "broken"}


def test_models_without_a_price(machine: Machine) -> None:
    """Only sources of prices that are used are named."""
    prices = {"batch_size": 1_000_000, "default": {"input_price": 200, "output_price": 1000}}
    models = [{"id": "priced", "billing": {"token_prices": prices}}, {"id": "martian-1"}]
    machine.patch.setattr(CheckContext, "catalogue", lambda _: parse_models(models))
    [result] = accounting.check_prices(CheckContext(load_settings()))
    assert (
        "Copilot's own prices for 1 model, "
        "none for 1 (until Copilot reports what a request cost)" == result.what
    )


def test_a_ledger_that_cannot_be_written(machine: Machine, cli: Cli) -> None:
    """The ledger is not called fine if nothing can be recorded."""
    faults.read_only_folder(machine)
    [ledger] = [one for one in found(cli)["checks"] if one["name"] == "ledger"]
    assert "skipped" == ledger["status"]
    assert "requests are not recorded" in ledger["what"]


def test_a_read_only_ledger(machine: Machine, cli: Cli) -> None:
    """The remedy makes the file writable."""
    path = load_settings().ledger_file
    open_for_writing(path).close()
    # File modes do not keep root from writing.
    access = os.access
    machine.patch.setattr(os, "access", lambda *asked: asked[0] != path and access(*asked))
    [ledger] = [one for one in found(cli)["checks"] if one["name"] == "ledger"]
    assert ("broken", "Run: chmod u+w ~/copilot-proxy/ledger.sqlite3") == (
        ledger["status"],
        ledger["remedy"],
    )


def test_without_fix_nothing_is_changed(machine: Machine, cli: Cli) -> None:
    path = machine.config('api_key = "a-key-for-clients"\n', 0o644)
    faults.ledger_is_no_database(machine)
    before = sorted(machine.home.rglob("*"))
    assert 2 == cli("doctor").code
    assert before == sorted(machine.home.rglob("*"))
    assert 0o644 == path.stat().st_mode & 0o777


def test_network_only(machine: Machine, cli: Cli) -> None:
    faults.dumps_left_on(machine)
    output = found(cli, "--network-only")
    assert "ok" == output["status"]
    assert ["proxy", "loopback", "certificates", "github", "clock"] == [
        one["name"] for one in output["checks"]
    ]


def test_network_only_needs_no_sign_in(machine: Machine, cli: Cli) -> None:
    machine.sign_out()
    output = found(cli, "--network-only")
    assert {"ok"} == {one["status"] for one in output["checks"]}


def test_one_client(machine: Machine, cli: Cli) -> None:
    machine.client("claude", "2.1.340")
    machine.client("codex", "0.1.0")
    url = f"http://127.0.0.1:{machine.port}/c/claude-code"
    machine.file(".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": url}})
    output = found(cli, "claude")
    (one,) = [one for one in output["checks"] if one["name"].startswith("client-")]
    assert "ok" == output["status"]
    assert one["what"].startswith("2.1.340, newer than ")
    assert "configured for this server" in one["what"]
    assert "not seen yet" in one["what"]


def test_a_client_that_is_not_installed(machine: Machine, cli: Cli) -> None:
    ran = cli("doctor", "codex")
    assert 2 == ran.code
    assert ran.out.startswith(
        "broken   Codex CLI: Codex CLI is not installed.\n"
        "         Install it with: npm install -g @openai/codex\n"
    )


def test_an_unknown_client(machine: Machine, cli: Cli) -> None:
    ran = cli("doctor", "codexx")
    assert 2 == ran.code
    assert "Did you mean codex" in ran.err


def test_the_simulator(machine: Machine, cli: Cli) -> None:
    """With `--simulate`, no account is needed, and the simulator's ledger is checked."""
    machine.sign_out()
    ran = cli("doctor", "--simulate")
    assert (0, "") == (ran.code, ran.err)
    assert "\nok  Sign-in        simulated\n" in ran.out
    assert "ok  Ledger         no requests yet\n" in ran.out
    ready = re.search(r"Ready for chat: (\d+) of", cli("models", "--simulate").err)
    assert ready is not None
    assert f"ok  Models         {ready[1]} chat models ready\n" in ran.out


def test_the_report_has_nothing_private(machine: Machine, cli: Cli) -> None:
    machine.config(
        'api_key = "a-key-for-clients"\nlog_file = "/srv/acme-log"\n[aliases]\n'
        'acme-model = "no-such-model"\n[api_keys.acme-laptop]\nkey = "another-key-for-clients"\n'
    )
    machine.set(allowed_hosts="build.acme", budget="500/day", profile="acme", port="8123")
    machine.set(github_token=SIMULATED_TOKEN)
    account.base_url_of_another_host(machine)
    account.proxy_that_does_not_answer(machine)
    machine.file(".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": "https://llm.acme/x"}})
    machine.client("claude", "2.1.330")
    assert 0 == cli("budget", "set", "9/month", "--client", "acme-agent").code
    ran = cli("doctor", "--report")
    assert ran.out.startswith("```text\ng-copilot-proxy ")
    assert ran.out.endswith("```\n")
    assert "plan: Pro (monthly_subscriber_quota)" in ran.out
    assert "budget = (1 entry) (COPILOT_PROXY_BUDGET)" in ran.out
    assert "budget           limits: per month for a client, per day; none is used up\n" in ran.out
    private = (
        "acme",
        "mona",
        "192.0.2.7",
        "secret-word",
        "-for-clients",
        "ghu_",
        str(machine.user),
    )
    assert not [word for word in private if word in ran.out], ran.out


def test_an_uninstall_leaves_files(machine: Machine, cli: Cli) -> None:
    assert "ninstall" not in cli("doctor").out
    ran = cli("doctor", "--files")
    assert "Uninstalling leaves these files behind:\n  ~/copilot-proxy/credentials.json" in ran.out
    assert ["~/copilot-proxy/credentials.json"] == found(cli)["left_by_uninstall"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_full_disk(machine: Machine) -> None:
    """A file size limit simulates the full disk, since the same calls fail."""
    import resource

    ran = subprocess.run(
        [sys.executable, "-m", "copilot_proxy", "doctor"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert 2 == ran.returncode, ran.stderr
    assert ran.stdout.startswith("broken   ")
    assert "\n         Free some space on that disk.\n" in ran.stdout


def context(seconds: float = 20) -> CheckContext:
    return CheckContext(load_settings(), seconds=seconds)


def test_a_check_that_fails_itself_is_a_finding() -> None:
    def crash(_: CheckContext) -> Iterator[Result]:
        yield ok("so far")
        raise KeyError("ghu_0123456789abcdefghij0123456789abcdef")

    (one,) = runner.run_checks(context(), [Check("x", "X", crash)])
    assert Status.BROKEN == one.result.status
    assert "The check itself failed (KeyError" in one.result.what
    assert "ghu_" not in one.result.what
    assert "doctor --report" in str(one.result.remedy)


def test_a_check_that_hangs_is_a_finding_and_others_are_shown() -> None:
    released = threading.Event()

    def hang(_: CheckContext) -> Iterator[Result]:
        released.wait()
        yield ok("at last")

    checks = [Check("x", "X", hang), Check("y", "Y", lambda _: [ok("fine")])]
    findings = runner.run_checks(context(0.05), checks)
    released.set()
    assert [Status.BROKEN, Status.OK] == [one.result.status for one in findings]
    assert "did not finish within" in findings[0].result.what


def test_unfixable_problems_stay(tmp_path: Path) -> None:
    check = Check("x", "X", lambda _: [warning("Open.", "Close it.", lambda: _missing(tmp_path))])
    (one,) = runner.fix(runner.run_checks(context(), [check]))
    assert Status.WARNING == one.result.status
    assert "could not be fixed: No such file or directory" in one.result.what


def _missing(folder: Path) -> str:
    (folder / "nothing").chmod(0o600)
    return "done"


def test_a_connected_client(machine: Machine, cli: Cli) -> None:
    """The check reads whether the values that `connect` changed still point to this server."""
    machine.client("claude", "2.1.330")
    with Proxy(settings_at(machine.simulator)) as server:
        machine.set(port=server.url.rpartition(":")[2])
        assert 0 == cli("connect", "claude", "--yes").code
        output = found(cli, "claude")
        assert "ok" == output["status"]
        assert "configured for this server" in output["checks"][-1]["what"]
        undo = "~/.claude/settings.json (copilot-proxy connect claude --undo)"
        assert undo in output["left_by_uninstall"]
    machine.set(port=str(machine.port))
    ran = cli("doctor", "claude")
    assert 1 == ran.code
    assert ran.out.startswith("warning  Claude Code: `connect` has configured ")
    assert "\n         Run: copilot-proxy connect claude\n" in ran.out


def test_an_uninstall_leaves_the_service(machine: Machine, cli: Cli) -> None:
    install(machine, "active")
    assert "~/.config/systemd/user/copilot-proxy.service" in found(cli)["left_by_uninstall"]

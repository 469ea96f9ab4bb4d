"""Faults of the installation, settings, files, ledger and server."""

import json
import os
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from copilot_proxy import __version__
from copilot_proxy.budget import limits_file
from copilot_proxy.cost import price_table
from copilot_proxy.cost.limits import Limit
from copilot_proxy.doctor import server_facts
from copilot_proxy.ledger import database, reservation_file
from copilot_proxy.ledger.database import open_for_writing
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.server import port_owner
from copilot_proxy.simulator.catalogue import load
from tests.conftest import Proxy, settings_at
from tests.doctor.faults import fault
from tests.doctor.machine import SCRIPT, Machine
from tests.http_server import HttpServer
from tests.ledger.rows import record, row


@fault("program", "warning", "Use the command g-copilot-proxy instead")
def another_program_with_the_name(machine: Machine) -> None:
    other = machine.bin.parent / "other"
    other.mkdir()
    machine.program("copilot-proxy", "#!/bin/sh\necho someone else\n", other)
    machine.export(PATH=f"{other}{os.pathsep}{machine.bin}")


@fault("program", "warning", "Remove one of them")
def second_installation(machine: Machine) -> None:
    other = machine.bin.parent / "other"
    other.mkdir()
    machine.program("copilot-proxy", f"{SCRIPT}# of another Python\n", other)
    machine.export(PATH=f"{other}{os.pathsep}{machine.bin}")


@fault("program", "warning", "to the PATH")
def not_on_the_path(machine: Machine) -> None:
    machine.export(PATH="/nowhere")


@fault("settings", "broken", "Correct the syntax at that position")
def config_is_not_toml(machine: Machine) -> None:
    machine.config("port = = 1\n")


@fault("settings", "broken", "Make sure that it is a file that you can read")
def config_is_unreadable(machine: Machine) -> None:
    (machine.home / "config.toml").mkdir()


@fault("settings", "broken", "Did you mean 'default_model'?")
def unknown_setting(machine: Machine) -> None:
    machine.config('default_modle = "sonnet"\n')


@fault("settings", "broken", "Correct it, or omit it to use the default")
def invalid_value(machine: Machine) -> None:
    machine.config("workers = 0\n")


@fault("settings", "warning", "Rename it to COPILOT_PROXY_DEFAULT_MODEL.")
def mistyped_variable(machine: Machine) -> None:
    machine.set(default_modell="sonnet")


@fault("settings", "warning", "Unset COPILOT_PROXY_TELEPORT.")
def unknown_variable(machine: Machine) -> None:
    machine.set(teleport="yes")


@fault("folders", "broken", "Make")
def read_only_folder(machine: Machine) -> None:
    machine.set(github_token="ghu_Simu1ated0000000000000000000000000")
    if os.geteuid() == 0:
        # File modes do not keep root from writing.
        machine.set(home_dir="/sys/kernel")
    else:
        machine.home.chmod(0o500)
        machine.stack.callback(machine.home.chmod, 0o700)
    machine.expected.append("cannot be written")


@fault("folders", "warning", "chmod 700")
def folder_open_to_others(machine: Machine) -> None:
    machine.home.chmod(0o755)


@fault("privacy", "warning", "replace the token: copilot-proxy login")
def token_file_open_to_others(machine: Machine) -> None:
    (machine.home / "credentials.json").chmod(0o644)


@fault("privacy", "warning", "chmod 600")
def config_with_a_key_open_to_others(machine: Machine) -> None:
    machine.config('api_key = "a-key-for-clients"\n', 0o644)


@fault("privacy", "warning", "chmod 600")
def simulated_ledger_open_to_others(machine: Machine) -> None:
    (machine.home / "ledger-simulated.sqlite3").touch(0o644)


@fault("privacy", "warning", "chmod 600")
def simulated_budget_open_to_others(machine: Machine) -> None:
    (machine.home / "budget-simulated.json").touch(0o644)


@fault("log", "broken", "Change COPILOT_PROXY_LOG_FILE")
def unwritable_log(machine: Machine) -> None:
    machine.home.joinpath("log").mkdir()
    machine.set(log_file=str(machine.home / "log"))


@fault("dumps", "warning", "remove COPILOT_PROXY_DUMP_DIR")
def dumps_left_on(machine: Machine) -> None:
    machine.set(dump_dir=str(machine.home / "dumps"))


@fault("dumps", "broken", "chmod 700")
def dumps_open_to_others(machine: Machine) -> None:
    folder = machine.home / "dumps"
    folder.mkdir()
    folder.chmod(0o755)
    machine.set(dump_dir=str(folder))


@fault("exposure", "broken", "Set COPILOT_PROXY_API_KEY")
def open_to_the_network_without_a_key(machine: Machine) -> None:
    machine.set(host="0.0.0.0")


@fault("exposure", "broken", "Use a longer key")
def open_to_the_network_with_a_short_key(machine: Machine) -> None:
    machine.set(host="0.0.0.0", api_key="abc1234")


def ledger_of(machine: Machine) -> Path:
    return machine.home / "ledger.sqlite3"


@fault("ledger", "broken", "copilot-proxy doctor --fix")
def ledger_is_no_database(machine: Machine) -> None:
    ledger_of(machine).write_bytes(b"this is no database " * 100)
    ledger_of(machine).chmod(0o600)


@fault("ledger", "broken", "copilot-proxy doctor --fix")
def ledger_with_a_damaged_page(machine: Machine) -> None:
    with closing(open_for_writing(ledger_of(machine))) as file:
        insert(file, [row(record(f"r{number}"), time.time()) for number in range(200)])
    content = bytearray(ledger_of(machine).read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    ledger_of(machine).write_bytes(content)


@fault("ledger", "broken", "copilot-proxy doctor --fix")
def ledger_without_a_table(machine: Machine) -> None:
    with closing(open_for_writing(ledger_of(machine))) as file:
        file.execute("DROP TABLE requests")


@fault("ledger", "broken", "Rename or remove it")
def ledger_that_is_a_folder(machine: Machine) -> None:
    ledger_of(machine).mkdir(0o700)


@fault("ledger", "broken", "Rename or remove it")
def ledger_that_is_a_symbolic_link(machine: Machine) -> None:
    elsewhere = machine.home / "elsewhere.sqlite3"
    open_for_writing(elsewhere).close()
    ledger_of(machine).symlink_to(elsewhere)


@fault("ledger", "broken", "Rename or remove it")
def ledger_that_is_a_broken_link(machine: Machine) -> None:
    ledger_of(machine).symlink_to(machine.home / "nowhere")


@fault("ledger", "broken", "Another program is using it")
def ledger_that_another_program_writes(machine: Machine) -> None:
    machine.patch.setattr(database, "BUSY_SECONDS", 0.0)
    other = open_for_writing(ledger_of(machine))
    other.execute("BEGIN IMMEDIATE")
    machine.patch.setattr(ledger_that_another_program_writes, "other", other, raising=False)


@fault("budget", "broken", "Stop all servers, and rename or remove the file")
def reservations_that_are_a_folder(machine: Machine) -> None:
    machine.set(budget="1/day")
    reservation_file.path_for(ledger_of(machine)).mkdir(0o700)


@fault("budget", "broken", "End the process that uses it")
def reservations_locked_by_a_stopped_process(machine: Machine) -> None:
    machine.set(budget="1/day")
    machine.patch.setattr(reservation_file, "_BUSY_SECONDS", 0.0)
    other = reservation_file.ReservationFile(ledger_of(machine))
    assert other.lock()
    machine.patch.setattr(reservations_locked_by_a_stopped_process, "other", other, raising=False)


@fault("ledger", "broken", "Upgrade copilot-proxy")
def ledger_of_a_newer_version(machine: Machine) -> None:
    open_for_writing(ledger_of(machine)).close()
    with closing(sqlite3.connect(ledger_of(machine))) as file:
        file.execute("PRAGMA user_version = 99")


@fault("budget", "broken", "Remove it and set the budget again")
def damaged_budget(machine: Machine) -> None:
    machine.home.joinpath("budget.json").write_text("{")
    machine.home.joinpath("budget.json").chmod(0o600)


@fault("budget", "broken", "Make sure that it is a file that you can read")
def budget_that_cannot_be_read(machine: Machine) -> None:
    machine.home.joinpath("budget.json").mkdir(0o700)


@fault("budget", "warning", "copilot-proxy budget raise 1")
def spent_budget(machine: Machine) -> None:
    machine.set(budget="1/day")
    with closing(open_for_writing(ledger_of(machine))) as file:
        insert(file, [row(record("r1", credits=2.0), time.time())])


@fault("budget", "warning", "Install it, or change COPILOT_PROXY_NOTIFY")
def command_that_is_not_installed(machine: Machine) -> None:
    machine.set(budget="1/day", notify="no-such-program")


@fault("budget", "broken", "or run: copilot-proxy budget off")
def stored_budget_without_a_ledger(machine: Machine) -> None:
    limit = Limit(1, "day")
    path = limits_file.path_for(ledger_of(machine))
    limits_file.change(path, datetime.now(UTC), lambda limits: limits.with_limit(limit))
    machine.set(ledger="false")


@fault("budget", "broken", "Set ledger to true, or remove COPILOT_PROXY_BUDGET")
def budget_without_a_ledger(machine: Machine) -> None:
    machine.set(budget="1/day", ledger="false")


@fault("prices", "warning", "pipx upgrade")
def old_prices(machine: Machine) -> None:
    table = machine.user / "price_table.json"
    table.write_text('{"date": "2026-03-01", "models": {}}')
    machine.patch.setattr(price_table, "_FILE", table)
    machine.simulator.state.catalogue = load("2026-03")
    for one in machine.simulator.state.catalogue:
        one.pop("billing", None)
    price_table._table.cache_clear()
    machine.stack.callback(price_table._table.cache_clear)


@fault("pi-ai", "broken", "Install Node")
def pi_ai_without_node(machine: Machine) -> None:
    machine.set(upstream="pi-ai")


def shorten_waits(machine: Machine) -> None:
    """Shorten the wait for a program that never answers."""
    for module in (server_facts, port_owner):
        machine.patch.setattr(module, "_TIMEOUT", 0.1)


@fault("server", "broken", "Stop that program, or use another port")
def port_taken(machine: Machine) -> None:
    shorten_waits(machine)
    listener = machine.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", machine.port))
    listener.listen()


@fault("ollama", "broken", "Set ollama_port to another port")
def ollama_port_taken(machine: Machine) -> None:
    shorten_waits(machine)
    listener = machine.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    machine.set(ollama="true", ollama_port=str(listener.getsockname()[1]))


class OtherServer(HttpServer):
    """A copilot-proxy in a state that would take a long time to reach."""

    def __init__(self, **health: object) -> None:
        super().__init__()
        self._health = {"status": "ok", "version": __version__, "simulated": False, **health}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps(self._health).encode())


@fault("server", "warning", "Stop it and start it again")
def server_of_another_version(machine: Machine) -> None:
    server = machine.stack.enter_context(OtherServer(version="0.0.1"))
    machine.set(port=str(server.port))


@fault("server", "warning", "Stop it and start it again")
def server_with_older_settings(machine: Machine) -> None:
    server = machine.stack.enter_context(OtherServer(settings_read_at=time.time() - 60))
    machine.set(port=str(server.port))
    machine.config("workers = 1\n")


@fault("server", "warning", "Wait 90 s.")
def server_that_waits_for_copilot(machine: Machine) -> None:
    cooldown = {"scope": "model", "model": "gpt-9", "code": "rate_limit_exceeded", "retry_in": 90}
    server = machine.stack.enter_context(OtherServer(cooldowns=[cooldown]))
    machine.set(port=str(server.port))


@fault("server", "warning", "Set COPILOT_PROXY_API_KEY to its key")
def server_with_another_key(machine: Machine) -> None:
    settings = settings_at(machine.simulator, api_key="a-key-for-clients")
    server = machine.stack.enter_context(Proxy(settings))
    machine.set(port=server.url.rpartition(":")[2])


@fault("server", "broken", "Sign in with: copilot-proxy login")
def server_without_a_sign_in(machine: Machine) -> None:
    settings = settings_at(machine.simulator, github_token="ghu_Revoked000000000000000000000000000")
    server = machine.stack.enter_context(Proxy(settings))
    with server.client() as client:
        client.get("/v1/models")
    machine.set(port=server.url.rpartition(":")[2])

"""The documentation is complete: commands, flags, settings, aliases, fields, promises, links."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from copilot_proxy import __version__
from copilot_proxy.cli.main import app
from copilot_proxy.formats.pi_ai.request_from_chat import DROPPED, REFUSED
from copilot_proxy.formats.request_fields import FIELDS, Refused
from copilot_proxy.model_names import FAMILY_NAMES
from copilot_proxy.settings import ENVIRONMENT_PREFIX, Settings, setting_names
from tests.attack.__main__ import ATTACKS

ROOT = Path(__file__).parent.parent
COMMAND: Any = typer.main.get_command(app)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def options() -> Iterator[tuple[str, str]]:
    """Yield each command with each of its flags."""
    for name, command in {"": COMMAND, **COMMAND.commands}.items():
        below = () if command is COMMAND else getattr(command, "commands", {}).values()
        for parameter in [one for part in (command, *below) for one in part.params]:
            for flag in (*parameter.opts, *parameter.secondary_opts):
                if flag.startswith("--") and flag != "--help":
                    yield name, flag


def section(document: str, title: str) -> str:
    """Return the text under a heading, up to the next heading of the same level."""
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^\1 |\Z)", document, re.M | re.S)
    assert found, f"no heading {title!r}"
    return found[2]


@pytest.mark.parametrize("name", sorted(COMMAND.commands))
def test_every_command_is_documented(name: str) -> None:
    """Each command has a heading in docs/configuration.md and a help text."""
    assert f"### `{name}`" in text("docs/configuration.md")
    assert COMMAND.commands[name].help


@pytest.mark.parametrize(("command", "flag"), list(options()))
def test_every_flag_is_documented(command: str, flag: str) -> None:
    """Each flag is documented under its command in docs/configuration.md."""
    title = f"`{command}`" if command else "Every command"

    assert f"`{flag}" in section(text("docs/configuration.md"), title)


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_is_documented(name: str) -> None:
    """Each setting is in the table in docs/configuration.md, with its default."""
    rows = section(text("docs/configuration.md"), "Settings").splitlines()
    row = next((row for row in rows if row.startswith(f"| `{name}` |")), None)

    assert row, f"{name} is not in the table"
    default = getattr(Settings(), name)
    if isinstance(default, str | int | float) and not isinstance(default, bool):
        assert str(default).removesuffix(".0") in row
    assert ENVIRONMENT_PREFIX in text("docs/configuration.md")


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_every_family_is_documented(family: str) -> None:
    """The names of families that always map to a model are in docs/api.md."""
    assert f"`{family}`" in section(text("docs/api.md"), "Models and their names")


@pytest.mark.parametrize("api", FIELDS)
def test_every_dropped_or_refused_field_is_documented(api: str) -> None:
    """docs/api.md lists exactly the fields that no model accepts, and how each is handled."""
    title = api.replace("_", " ").title()
    rows = section(text("docs/api.md"), "Fields that no model accepts").splitlines()
    (row,) = [row for row in rows if row.startswith(f"| {title} |")]
    _, _, refused, dropped, _ = row.split("|")

    decided: dict[bool, set[str]] = {fate: set() for fate in (True, False)}
    for name, decision in FIELDS[api].items():
        decided[isinstance(decision, Refused)].add(name)
    assert decided == {
        True: set(re.findall(r"`(\w+)`", refused)),
        False: set(re.findall(r"`(\w+)`", dropped)),
    }


def notes_about_losses() -> Iterator[str]:
    """Yield the dropped items in notes, without the reason, and with `…` for variable parts."""
    folders = [ROOT / "copilot_proxy" / name for name in ("formats", "relay", "routes")]
    for path in [path for folder in folders for path in folder.rglob("*.py")]:
        if "pi_ai" in path.parts:
            continue  # docs/pi-ai.md
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {
            id(one)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for one in node.values
        }
        for node in ast.walk(tree):
            note = ""
            if isinstance(node, ast.JoinedStr):
                note = "".join(
                    str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values
                )
            elif isinstance(node, ast.Constant) and id(node) not in parts:
                note = str(node.value)
            if note.startswith(("dropped ", "removed ")):
                yield note.partition(":")[0]


def test_every_note_about_a_loss_is_explained() -> None:
    """docs/api.md lists exactly the notes that the program makes, each of them once."""
    rows = re.findall(r"^\| (`.*?) \|", section(text("docs/api.md"), "What is dropped"), re.M)
    documented = [note for row in rows for note in re.findall(r"`([^`]+)`", row)]

    assert sorted(set(notes_about_losses())) == sorted(documented)


def error_codes() -> Iterator[str]:
    """Yield the error codes that are constants in the program."""
    folders = ("auth", "formats", "middleware", "relay", "routes", "server", "upstreams")
    for path in [one for name in folders for one in (ROOT / "copilot_proxy" / name).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                values = [node.value]
                if isinstance(node.value, ast.IfExp):
                    values = [node.value.body, node.value.orelse]
                yield from (str(one.value) for one in values if isinstance(one, ast.Constant))


def test_every_error_code_is_documented() -> None:
    """The table in docs/api.md has every error code that a client can receive."""
    page_only = {"invalid_code", "request_not_found"}  # only the dashboard's own page
    login_only = {"expired_token"}
    never_received = {"client_closed_request", "None"}
    websocket_only = {"steering_not_supported"}  # explained under "WebSocket"
    rows = re.findall(r"^\| \d{3}.*", section(text("docs/api.md"), "Errors"), re.M)
    documented = set(re.findall(r"`(\w+)`", "\n".join(rows)))

    received = set(error_codes()) - page_only - login_only - never_received - websocket_only
    assert len(received) > 40
    assert sorted(received - documented) == []


def test_losses_of_pi_ai_are_documented() -> None:
    """The tables in docs/pi-ai.md list exactly the refused and dropped fields."""
    refused, dropped = re.findall(
        r"^\| field \| \|\n\|---\|---\|\n((?:\|.*\n)+)",
        section(text("docs/pi-ai.md"), "What is lost"),
        re.M,
    )

    def fields(table: str) -> set[str]:
        return {
            name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
        }

    assert {one.field for one in REFUSED} == fields(refused)
    assert {*DROPPED, "parallel_tool_calls"} == fields(dropped)


@pytest.mark.parametrize("document", ["docs/reliability.md", "docs/security.md"])
def test_every_promise_has_its_test(document: str) -> None:
    """Every promise names a test that exists."""
    rows = re.findall(r"^\| (?!promise)([^|]+) \| ([^|]*`tests/[^|]*) \|$", text(document), re.M)
    assert rows
    for promise, proof in rows:
        for path, _, name in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", proof):
            assert (ROOT / path).is_file(), promise
            assert not name or re.search(rf"^(async )?def {name}\(", text(path), re.M), promise


def test_every_attack_is_in_the_table() -> None:
    """The attacks are listed with the promises that they test."""
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \|$", text("docs/reliability.md"), re.M)
    assert [(attack.__doc__, attack.__name__) for attack in ATTACKS] == rows


def test_every_folder_is_in_the_architecture() -> None:
    """The table of folders is complete, in the order in which they may import each other."""
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"\w+", layer) for layer in contracts[0]["layers"]]
    heights = {name: height for height, names in enumerate(layers) for name in names}
    rows = re.findall(r"^\| (`.*?`) \|", section(text("docs/architecture.md"), "The folders"), re.M)
    names = [re.findall(r"\w+", row) for row in rows]

    assert {"__main__", *(name for row in names for name in row)} == set(heights)
    found = [heights[name] for row in names for name in row]
    assert sorted(found) == found


def test_version_is_in_the_changelog() -> None:
    """The current version has an entry in the changelog."""
    assert f"## [{__version__}] - " in text("CHANGELOG.md")


@pytest.mark.parametrize(
    "document",
    sorted(
        p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    ),
)
def test_links_have_targets(document: str) -> None:
    """A link to a file of the project, or to a heading in a file, has a target."""
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text(document)):
        path, _, anchor = target.partition("#")
        aim = (folder / path) if path else ROOT / document
        assert aim.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", aim.read_text(encoding="utf-8"), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, target

"""Files are changed and restored exactly, whatever their format, or not changed at all."""

import json
import os
from pathlib import Path

import pytest

from copilot_proxy.config_edits import journal as journals
from copilot_proxy.config_edits import json_text
from copilot_proxy.config_edits.changes import Change, JsonValues, TomlTables, WholeFile
from copilot_proxy.config_edits.document import CannotEdit
from copilot_proxy.config_edits.files import write_file
from copilot_proxy.config_edits.journal import FileProblem, Journal

HARD = [
    b"",
    b'{"model": "mine"}',
    b'\xef\xbb\xbf{\r\n\t"provider": {"other": 1}, // mine\r\n}',
    b'// caf\xc3\xa9\n{"a": [1,],}\n\n\n',
]
"""Contents of a JSON file: no final newline, a byte order mark, CRLF, tabs, comments."""


def values(path: Path, url: str = "http://x") -> JsonValues:
    return JsonValues(path, [(("provider", "me"), {"url": url}), (("model",), "new")])


def connect(folder: Path, *changes: Change) -> Journal:
    journal = Journal.load(folder)
    journal.apply(journal.plan(changes), {"url": "http://x"})
    return journal


def undo(folder: Path) -> None:
    journal = Journal.load(folder)
    journal.apply(journal.undo_plan(), {})


def snapshot(folder: Path) -> dict[str, tuple[bytes | str, int]]:
    return {
        str(path): (
            os.readlink(path) if path.is_symlink() else path.read_bytes(),
            path.lstat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize("content", HARD)
def test_change_and_undo(home: Path, state: Path, content: bytes) -> None:
    """The file gets the values; undoing restores its contents and mode."""
    path = home / "settings.json"
    path.write_bytes(content)
    path.chmod(0o640)
    before = snapshot(home)
    connect(state, values(path))
    assert b"http://x" in path.read_bytes()
    assert content[:3] == b"\xef\xbb\xbf" or not path.read_bytes().startswith(b"\xef\xbb\xbf")

    undo(state)
    assert before == snapshot(home)
    assert [] == Journal.load(state).entries


def test_new_files(home: Path, state: Path) -> None:
    """Undoing removes new files and folders; new files are private, since they may have keys."""
    own = WholeFile(home / "a" / "b" / "own.toml", "x = 1\n")
    connect(state, own, values(home / "c" / "s.json"))
    assert b"x = 1\n" == (home / "a" / "b" / "own.toml").read_bytes()
    assert 0o600 == (home / "c" / "s.json").stat().st_mode & 0o777
    assert 0o600 == (state / "journal.json").stat().st_mode & 0o777

    undo(state)
    assert [] == list(home.iterdir())


def test_a_folder_that_is_in_use(home: Path, state: Path) -> None:
    """A folder stays if it now contains something else."""
    connect(state, values(home / "c" / "s.json"))
    (home / "c" / "theirs").touch()
    undo(state)

    assert ["theirs"] == [path.name for path in (home / "c").iterdir()]


def test_a_symbolic_link(home: Path, state: Path) -> None:
    """The target of the link is changed, and the link stays."""
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "s.json").write_bytes(HARD[1])
    path = home / "s.json"
    path.symlink_to("dotfiles/s.json")
    before = snapshot(home)
    connect(state, values(path))
    assert path.is_symlink()
    assert b"http://x" in (home / "dotfiles" / "s.json").read_bytes()

    undo(state)
    assert before == snapshot(home)


def test_the_user_edits_the_file(home: Path, state: Path) -> None:
    """The user's later changes stay; only our values are removed, and the old values restored."""
    path = home / "s.json"
    path.write_text('{\n  "model": "mine", // old\n  "b": 1\n}\n')
    connect(state, values(path))
    path.write_text(path.read_text().replace('"b": 1', '"b": 2, "c": 3'))
    assert Journal.load(state).is_changed(Journal.load(state).entries[0])
    undo(state)

    assert '{\n  "model": "mine", // old\n  "b": 2, "c": 3\n}\n' == path.read_text()


def test_the_user_edits_our_values(home: Path, state: Path) -> None:
    """Values that the user has edited in the meantime are kept and named; others are restored."""
    path, own = home / "s.json", home / "own.yaml"
    path.write_text('{"model": "mine", "b": 1}')
    connect(state, values(path), WholeFile(own, "x: 1\n"))
    path.write_text(path.read_text().replace("http://x", "http://other"))
    own.write_text("x: 2\n")
    plans = {plan.path: plan for plan in Journal.load(state).undo_plan()}
    undo(state)

    assert ("provider.me",) == plans[path].kept
    assert {"provider": {"me": {"url": "http://other"}}, "model": "mine", "b": 1} == json.loads(
        path.read_text()
    )
    assert ("the whole file",) == plans[own].kept
    assert "x: 2\n" == own.read_text()
    assert [] == Journal.load(state).entries


def test_the_client_changes_our_object(home: Path, state: Path) -> None:
    """An object that still has our address is removed, whatever the client has added to it."""
    path = home / "s.json"
    path.write_text('{"model": "mine"}')
    connect(state, values(path))
    edited = json.loads(path.read_text())
    edited["provider"]["me"]["updatedAt"] = "2026-11-30"
    path.write_text(json.dumps(edited))
    undo(state)

    assert '{"model": "mine"}' == path.read_text()


def test_the_client_reformats_the_file(home: Path, state: Path) -> None:
    """If a program only reformatted the file, undoing restores the original exactly."""
    path = home / "s.json"
    path.write_bytes(b'{"model":"mine","b":[1]}')
    connect(state, values(path))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8) + "\n")
    undo(state)

    assert b'{"model":"mine","b":[1]}' == path.read_bytes()


def test_the_user_edits_tables(home: Path, state: Path) -> None:
    """TOML files work the same way; tables edited by hand are left for the user to remove."""
    path, tables = home / "c.toml", "[[providers]]\nname = 'x'\n"
    path.write_text("a = 1\n")
    connect(state, TomlTables(path, tables))
    path.write_text(path.read_text().replace("a = 1", "a = 2"))
    undo(state)
    assert "a = 2\n" == path.read_text()

    connect(state, TomlTables(path, tables))
    path.write_text(path.read_text().replace("'x'", "'y'"))
    with pytest.raises(FileProblem, match="no longer contains the tables"):
        undo(state)


def test_connecting_twice(home: Path, state: Path) -> None:
    """A new address replaces the previous one, and undoing restores the original."""
    path = home / "s.json"
    path.write_bytes(HARD[2])
    connect(state, values(path), values(home / "old.json"))
    connect(state, values(path, "http://y"))
    assert b"http://x" not in path.read_bytes()
    assert not (home / "old.json").exists()

    undo(state)
    assert HARD[2] == path.read_bytes()


def test_the_same_again(home: Path, state: Path) -> None:
    """Nothing is written if nothing would change."""
    path = home / "s.json"
    path.write_bytes(HARD[2])
    connect(state, values(path))
    [plan] = Journal.load(state).plan([values(path)])

    assert not plan.is_needed


def test_backups(home: Path, state: Path) -> None:
    """Five backups are kept, readable only by the user, plus the backup needed for undoing."""
    path = home / "s.json"
    for number in range(9):
        path.write_text(f'{{"a": {number}}}')
        connect(state, values(path))
        undo(state)
    backups = sorted(state.glob("s.json.*"))

    assert [f'{{"a": {number}}}' for number in range(4, 9)] == [one.read_text() for one in backups]
    assert {0o600} == {one.stat().st_mode & 0o777 for one in backups}
    connect(state, values(path))
    (path.parent / "s.json").write_text("{}")
    backups[-1].unlink()
    with pytest.raises(FileProblem, match="is missing"):
        undo(state)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("broken", "is not valid JSON"),
        ("latin", "is not UTF-8"),
        ("utf-16", "is not UTF-8"),
        ("read-only", "is read-only"),
        ("read-only folder", "in a read-only folder"),
        ("hard link", "has a hard link"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("dangling", "does not exist"),
        ("file as folder", "is not a folder"),
        ("list", "no object"),
    ],
)
def test_unrelated_text_is_not_changed(home: Path, state: Path, kind: str, reason: str) -> None:
    """If one file cannot be changed safely, it stays unchanged, and so do all others."""
    good, path = home / "good.json", home / "x" / "s.json"
    good.write_bytes(HARD[1])
    path.parent.mkdir()
    contents = {"broken": b'{"a": 1,,}', "latin": b'{"a": "\xe9"}', "list": b"[]"}
    content = contents.get(kind, HARD[1])
    if kind == "utf-16":
        content = '{"a": 1}'.encode("utf-16")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "file as folder":
        path.parent.rmdir()
        path.parent.touch()
    else:
        path.write_bytes(content)
    if kind == "read-only":
        path.chmod(0o444)
    if kind == "hard link":
        os.link(path, home / "link")
    if kind == "read-only folder":
        path.parent.chmod(0o555)
    before = snapshot(home)
    try:
        with pytest.raises(FileProblem, match=reason):
            connect(state, values(good), values(path))
        assert before == snapshot(home)
        assert [] == Journal.load(state).entries
    finally:
        if path.parent.is_dir():
            path.parent.chmod(0o755)


def test_a_file_of_the_user(home: Path, state: Path) -> None:
    """The user's file is created, but never replaced, if its format cannot be edited."""
    path = home / "models.yaml"
    change = WholeFile(path, "- a\n", only_new=True)
    connect(state, change)
    connect(state, change)
    undo(state)
    path.write_text("- mine\n")
    with pytest.raises(FileProblem, match="already exists"):
        connect(state, change)


def test_a_write_that_fails(home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second of two files cannot be written, the first one is restored.

    The error names the file, even if another file could be written.
    """
    done, first, second = home / "done.json", home / "a" / "first.json", home / "second.json"
    second.write_bytes(HARD[1])
    connect(state, values(done))
    before = snapshot(home)

    def write(path: Path, content: bytes | None) -> list[Path]:
        if path == second:
            raise CannotEdit("cannot be written: No space left on device")
        return write_file(path, content)

    monkeypatch.setattr(journals, "write_file", write)
    with pytest.raises(FileProblem, match=r"second\.json cannot be written: No space"):
        connect(state, values(done), values(first), values(second))

    assert before == snapshot(home)
    assert not first.parent.exists()
    assert [done] == [entry.path for entry in Journal.load(state).entries]


def test_an_interrupted_change(home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change during which the process was killed can be undone."""
    first, second = home / "first.json", home / "second.json"
    for path in (first, second):
        path.write_bytes(HARD[1])

    def write(path: Path, content: bytes | None) -> list[Path]:
        if path == second:
            raise KeyboardInterrupt
        return write_file(path, content)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(journals, "write_file", write)
        connect(state, values(first), values(second))
    assert HARD[1] != first.read_bytes()
    undo(state)

    assert HARD[1] == first.read_bytes() == second.read_bytes()


def test_written_files_are_checked(
    home: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is only written if it equals the old data with the new values."""
    path = home / "s.json"
    path.write_bytes(HARD[1])
    monkeypatch.setattr(json_text, "set_value", lambda text, path, data: '{"model": "new"}')

    with pytest.raises(FileProblem, match="does not understand"):
        connect(state, values(path))
    assert HARD[1] == path.read_bytes()


def test_a_change_in_the_meantime(home: Path, state: Path) -> None:
    """A file that another program has changed since the diff was shown is not overwritten."""
    path = home / "s.json"
    path.write_bytes(HARD[1])
    journal = Journal.load(state)
    plans = journal.plan([values(path)])
    path.write_bytes(HARD[3])

    with pytest.raises(FileProblem, match="in the meantime"):
        journal.apply(plans, {})
    assert HARD[3] == path.read_bytes()


@pytest.mark.parametrize("where", ["backups", "journal"])
def test_without_a_journal_nothing_is_changed(home: Path, state: Path, where: str) -> None:
    """A change that could not be undone is not made, and the error says why."""
    path = home / "s.json"
    path.write_bytes(HARD[1])
    if where == "backups":
        state.write_text("a file")
    else:
        (state / "journal.json").mkdir(parents=True)

    with pytest.raises(FileProblem, match="cannot be written"):
        connect(state, values(path))
    assert HARD[1] == path.read_bytes()


def test_values_that_only_replace(home: Path, state: Path) -> None:
    """Some values are only set where the file already has a value, and are never added."""
    path = home / "s.json"
    path.write_text('{"env": {"BEDROCK": "1"}}')
    change = JsonValues(path, [(("a",), 1)], [(("env", n), "") for n in ("BEDROCK", "VERTEX")])
    connect(state, change)
    assert {"a": 1, "env": {"BEDROCK": ""}} == json.loads(path.read_text())
    path.write_text(path.read_text() + "\n")
    undo(state)

    assert {"env": {"BEDROCK": "1"}} == json.loads(path.read_text())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1}', '{"files": [{}], "about": {}}'])
def test_a_damaged_journal(state: Path, text: str) -> None:
    """A damaged journal is loaded without entries."""
    state.mkdir()
    (state / "journal.json").write_text(text)

    assert [] == Journal.load(state).entries


def test_two_commands_at_once(home: Path, state: Path) -> None:
    """The later of two overlapping commands changes nothing, so everything can be undone."""
    first, second = home / "first", home / "second"
    late = Journal.load(state)
    plans = late.plan([WholeFile(second, "mine")])
    connect(state, WholeFile(first, "mine"))
    with pytest.raises(FileProblem, match="was changed by another command in the meantime"):
        late.apply(plans, {})
    assert not second.exists()
    undo(state)
    assert not first.exists()


@pytest.mark.skipif(os.name != "posix", reason="there is no umask")
def test_a_umask_that_takes_everything(tmp_path: Path) -> None:
    """Folders created for a file can be used, whatever the umask."""
    before = os.umask(0o777)
    try:
        made = write_file(tmp_path / "a" / "b" / "c.json", b"{}")
    finally:
        os.umask(before)

    assert [0o700] * 2 == [folder.stat().st_mode & 0o777 for folder in made]

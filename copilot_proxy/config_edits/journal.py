"""Applies changes to files, and keeps what is needed to undo them: backups and a journal.

There is one folder for each configured program. The journal records which files were changed and
how. It is written before the files are, so that even an interrupted change can be undone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from copilot_proxy.config_edits.backups import remove_old_backups, save_backup
from copilot_proxy.config_edits.changes import Change, Removed
from copilot_proxy.config_edits.document import CannotEdit
from copilot_proxy.config_edits.files import read_file, remove_folders, write_file
from copilot_proxy.config_edits.journal_entries import Entry, entry_from_json, entry_to_json
from copilot_proxy.file_locks import locked
from copilot_proxy.private_files import failure_reason, make_folder

_JOURNAL: Final = "journal.json"
_LOCK: Final = "journal.lock"


@dataclass(frozen=True)
class FilePlan:
    """The planned change to a file."""

    path: Path
    before: bytes | None
    """The current content, or None if there is no file."""
    after: bytes | None
    base: bytes | None = None
    """The content without the change."""
    change: Change | None = None
    """The change, or None to undo it."""
    kept: tuple[str, ...] = ()
    """The user's edits that stay in the file after undoing."""

    @property
    def is_needed(self) -> bool:
        """Whether the file differs from the planned content."""
        return self.before != self.after


class FileProblem(Exception):
    """A file cannot be changed; `reason` completes a sentence that starts with `path`."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


@dataclass
class Journal:
    """The changes that were made to the files of one program."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    """Additional data that the caller needs later, such as the server's address."""
    is_damaged: bool = False
    """Whether the journal is unreadable."""
    stored: bytes | None = None
    """The journal file's content when last read or written, or None if there was none."""

    @classmethod
    def of(cls, program: str, state_dir: Path) -> "Journal":
        """Return a program's journal, which is in the state folder."""
        return cls.load(state_dir / "backups" / program)

    @classmethod
    def load(cls, folder: Path) -> "Journal":
        """Return the journal in `folder`. The journal is empty if nothing has been changed."""
        journal = cls(folder)
        try:
            journal.stored = (folder / _JOURNAL).read_bytes()
            found = json.loads(journal.stored)
            entries, about = [entry_from_json(one) for one in found["files"]], dict(found["about"])
        except FileNotFoundError:
            return journal
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            journal.is_damaged = True
            return journal
        journal.entries, journal.about = entries, about
        return journal

    def plan(self, changes: Sequence[Change]) -> list[FilePlan]:
        """Return the plans that replace all changes in the journal with `changes`. Raises
        `FileProblem`."""
        plans = []
        known = {entry.path: entry for entry in self.entries}
        for change in changes:
            path = Path(change.path)
            try:
                before = read_file(path)
                entry = known.pop(path, None)
                base = before if entry is None else self._base(entry, before).content
                plans.append(FilePlan(path, before, change.applied(base), base, change))
            except CannotEdit as error:
                raise FileProblem(path, error.reason) from None
        return plans + [self._undone(entry) for entry in known.values()]

    def undo_plan(self) -> list[FilePlan]:
        """Return the plans that undo everything. Raises `FileProblem`."""
        return [self._undone(entry) for entry in self.entries]

    def is_changed(self, entry: Entry) -> bool:
        """Return whether the file has changed since this program last wrote it."""
        try:
            current = read_file(entry.path)
        except CannotEdit:
            return True
        return current is None or _digest(current) != entry.written

    def apply(self, plans: Sequence[FilePlan], about: Mapping[str, str]) -> None:
        """Change all files. If any file cannot be changed, change none and raise `FileProblem`."""
        try:
            make_folder(self.folder)
            with locked(self.folder / _LOCK):
                self._apply(plans, about)
        except OSError as error:
            raise FileProblem(self.folder, _unwritable(error)) from None

    def _apply(self, plans: Sequence[FilePlan], about: Mapping[str, str]) -> None:
        if self._stored() != self.stored:
            raise FileProblem(self.folder, "was changed by another command in the meantime")
        _check_unchanged(plans)
        old = {entry.path: entry for entry in self.entries}
        before = self.entries, self.about
        try:
            entries = [
                self._saved(plan, plan.change, old.get(plan.path))
                for plan in plans
                if plan.change is not None
            ]
            self.entries, self.about = entries, dict(about)
            self._write()
        except (OSError, CannotEdit) as error:
            self.entries, self.about = before
            what = error.reason if isinstance(error, CannotEdit) else _unwritable(error)
            raise FileProblem(self.folder, what) from None
        try:
            made = _write_files(plans)
        except FileProblem:
            self.entries, self.about = before
            self._write()
            raise
        self.entries = [
            entry
            if not made.get(entry.path)
            else Entry(entry.path, entry.change, entry.written, entry.backup, made[entry.path])
            for entry in entries
        ]
        self._write()
        used = {entry.backup for entry in self.entries}
        for path in {entry.path for entry in self.entries}:
            remove_old_backups(self.folder, path, used)
        for plan in plans:
            if plan.after is None and plan.path in old:
                remove_folders(list(old[plan.path].folders))

    def _saved(self, plan: FilePlan, change: Change, old: Entry | None) -> Entry:
        """Write the backup for a plan, and return its journal entry. Raises `OSError`."""
        return Entry(
            plan.path,
            change,
            _digest(plan.after or b""),
            None if plan.base is None else save_backup(self.folder, plan.path, plan.base),
            () if old is None else old.folders,
        )

    def _base(self, entry: Entry, current: bytes | None, *, keeps_edits: bool = False) -> Removed:
        """Return what the file would contain without the change. Raises `CannotEdit`."""
        if entry.backup is None:
            original = None
        else:
            try:
                original = (self.folder / entry.backup).read_bytes()
            except OSError:
                raise CannotEdit(
                    "was configured by `connect`, but its backup "
                    f"{self.folder / entry.backup} is missing"
                ) from None
        if current is None or current == original:
            return Removed(current)
        if _digest(current) == entry.written:
            return Removed(original)
        return entry.change.removed(current, original, keeps_edits=keeps_edits)

    def _undone(self, entry: Entry) -> FilePlan:
        try:
            current = read_file(entry.path)
            content, kept = self._base(entry, current, keeps_edits=True)
            return FilePlan(entry.path, current, content, kept=kept)
        except CannotEdit as error:
            raise FileProblem(entry.path, error.reason) from None

    def _write(self) -> None:
        path = self.folder / _JOURNAL
        if not self.entries:
            path.unlink(missing_ok=True)
            self.stored = None
            return
        files = [entry_to_json(entry) for entry in self.entries]
        content = json.dumps({"about": self.about, "files": files}, indent=2).encode()
        write_file(path, content)
        self.stored = content

    def _stored(self) -> bytes | None:
        try:
            return (self.folder / _JOURNAL).read_bytes()
        except FileNotFoundError:
            return None


def _write_files(plans: Sequence[FilePlan]) -> dict[Path, tuple[Path, ...]]:
    """Write the files, and return the folders that were created for each.

    If a file cannot be written, restores those already written and raises `FileProblem`.
    """
    made: dict[Path, tuple[Path, ...]] = {}
    needed = [plan for plan in plans if plan.is_needed]
    for plan in needed:
        try:
            made[plan.path] = tuple(write_file(plan.path, plan.after))
        except CannotEdit as error:
            for written in reversed(needed[: len(made)]):
                write_file(written.path, written.before)
                remove_folders(list(made[written.path]))
            raise FileProblem(plan.path, error.reason) from None
    return made


def _check_unchanged(plans: Sequence[FilePlan]) -> None:
    for plan in plans:
        try:
            current = read_file(plan.path)
        except CannotEdit as error:
            raise FileProblem(plan.path, error.reason) from None
        if current != plan.before:
            raise FileProblem(plan.path, "has changed in the meantime")


def _unwritable(error: OSError) -> str:
    return f"cannot be written: {failure_reason(error)}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

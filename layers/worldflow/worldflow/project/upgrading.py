"""Merges a newer Worldflow into a project.

For each file there are three texts: the one that the project's own wheel came with (the base), the one that the newer
wheel comes with, and the user's. What only one side has changed is taken from that side. What both have changed is
merged by `git merge-file`, which marks conflicts. Nothing that the user has changed or deleted is replaced.
"""

from __future__ import annotations

import difflib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from worldflow.engine.errors import ConfigurationError
from worldflow.project.manifest import ENGINE, EXAMPLES
from worldflow.project.naming import current_name
from worldflow.project.shipped import files_in
from worldflow.project.texts import read, write


class Outcome(StrEnum):
    UPDATED = "updated"
    ADDED = "added"
    REMOVED = "removed"
    MERGED = "merged with your changes"
    CONFLICT = "conflict: edit what is between <<<<<<< and >>>>>>>"
    BESIDE = "not merged: compare with the new version beside it"
    KEPT = "kept, although Worldflow no longer has it: you changed it"
    DELETED = "changed, but you deleted it"


UNRESOLVED = (Outcome.CONFLICT, Outcome.BESIDE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    path: str
    outcome: Outcome
    before: str | None
    after: str | None
    written_to: str

    def diff(self) -> str:
        names = f"{self.path} (yours)", self.written_to
        before, after = (text.splitlines(keepends=True) if text else [] for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, *names))


def own_wheel(project: Path) -> Path:
    """The wheel that a project has. Raises `ConfigurationError` unless there is exactly one."""
    wheels = sorted((project / ENGINE).glob("worldflow-*.whl"))
    if len(wheels) != 1:
        raise ConfigurationError(f"{ENGINE} must have one wheel of Worldflow, but has {len(wheels)}")
    return wheels[0]


def plan(project: Path, wheel: Path) -> list[Change]:
    """What an upgrade to a wheel changes. Raises `ConfigurationError`."""
    name = current_name(project)
    base, new = files_in(own_wheel(project), name), files_in(wheel, name)
    paths = sorted({*base, *new} - EXAMPLES)
    texts = {path: read(project / path) for path in paths}
    changes = (_change(path, base.get(path), texts[path], new.get(path)) for path in paths)
    return [change for change in changes if change]


def _change(path: str, base: str | None, yours: str | None, new: str | None) -> Change | None:
    """What becomes of one file, or None if it stays as it is."""

    def change(outcome: Outcome, after: str | None, written_to: str = path) -> Change:
        return Change(path=path, outcome=outcome, before=yours, after=after, written_to=written_to)

    if base == new or yours == new:
        return None
    if yours is None:
        return change(Outcome.ADDED, new) if base is None else change(Outcome.DELETED, None)
    if yours == base:
        return change(Outcome.UPDATED if new is not None else Outcome.REMOVED, new)
    if new is None:
        return change(Outcome.KEPT, yours)
    merged = merge(yours, base or "", new)
    if merged is None:
        return change(Outcome.BESIDE, new, f"{path}.new")
    text, is_clean = merged
    return change(Outcome.MERGED if is_clean else Outcome.CONFLICT, text)


def merge(yours: str, base: str, new: str) -> tuple[str, bool] | None:
    """The texts merged, and whether without a conflict; None if there is no git to merge them with.

    Raises `ConfigurationError` if git fails.
    """
    git = shutil.which("git")
    if git is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("yours", "base", "new")]
        for file, text in zip(files, (yours, base, new), strict=True):
            write(file, text)
        labels = ("-L", "yours", "-L", "before", "-L", "worldflow")
        command = [git, "merge-file", "--stdout", *labels, *map(str, files)]
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    is_clean, has_conflicts = done.returncode == 0, 0 < done.returncode <= 127 and "<<<<<<< yours\n" in done.stdout
    if not is_clean and not has_conflicts:
        raise ConfigurationError(f"git merge-file failed with {done.returncode}: {done.stderr.strip()}")
    return done.stdout, is_clean


def apply(project: Path, wheel: Path, changes: list[Change]) -> None:
    """Writes the changes, and puts the wheel into the project instead of its own."""
    for change in changes:
        file = project / change.written_to
        if change.outcome is Outcome.REMOVED:
            file.unlink()
        elif change.after is not None and change.after != change.before:
            write(file, change.after)
    old = own_wheel(project)
    partial = old.with_name(f"{wheel.name}.partial")
    shutil.copyfile(wheel, partial)
    old.unlink()
    partial.rename(project / ENGINE / wheel.name)


def report(changes: list[Change]) -> Iterator[str]:
    """A line for each file."""
    for change in changes:
        beside = f" ({change.written_to})" if change.written_to != change.path else ""
        yield f"{change.path}: {change.outcome}{beside}"

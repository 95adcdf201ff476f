"""The name of an application, and the places in its project that have it."""

from __future__ import annotations

import re
from pathlib import Path

from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.project.texts import read, write

ORIGINAL = "worldflow"
"""The name in the files that the wheel contains."""

NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,98}[A-Za-z0-9])?")
"""What CloudFormation allows as a stack's name, with room for `-prod`."""

PLACES = {
    "Makefile": r"^(NAME := )@$",
    "README.md": r"^(# )@$|(`)@(?=-\w+`)",
    "pyproject.toml": r'^(name = ")@(?="$)',
    "samconfig.toml": r'(")@(?=-\w+")|("application=)@(?=")',
}
"""Each file with the name, and what precedes it there: a group each."""


def check_name(name: str) -> str:
    """The name. Raises `InvalidInputError` for one that no stack can have."""
    if not NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} cannot be the name of a stack: use at most 100 letters, digits and hyphens, "
            "starting with a letter and ending with no hyphen"
        )
    return name


def renamed(path: str, text: str, old: str, new: str) -> str:
    """The text of a project's file with another name for the application."""
    if path not in PLACES:
        return text
    pattern = re.compile(PLACES[path].replace("@", re.escape(old)), re.MULTILINE)
    return pattern.sub(lambda found: next(filter(None, found.groups())) + new, text)


def current_name(project: Path) -> str:
    """The name of an application. Raises `ConfigurationError` where its Makefile has none."""
    found = re.search(r"^NAME := (\S+)$", read(project / "Makefile") or "", re.MULTILINE)
    if found is None:
        raise ConfigurationError(
            f"{project.resolve()} is no Worldflow project: it has no Makefile with a line `NAME := ...`"
        )
    return found[1]


def rename(project: Path, new: str) -> list[str]:
    """Gives an application another name. Returns the files that had the old one."""
    old = current_name(project)
    check_name(new)
    changed = []
    for path in PLACES:
        file = project / path
        text = read(file) or ""
        if (replaced := renamed(path, text, old, new)) != text:
            write(file, replaced)
            changed.append(path)
    return changed

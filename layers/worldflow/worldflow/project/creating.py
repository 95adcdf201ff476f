"""Makes a new project."""

from __future__ import annotations

from pathlib import Path

from worldflow.engine.errors import ConfigurationError
from worldflow.project.manifest import ENGINE
from worldflow.project.naming import check_name
from worldflow.project.shipped import engine_wheel, files_in


def create(folder: Path, name: str) -> list[str]:
    """Writes a project into a folder that is empty or does not exist. Returns the paths of its files.

    Raises `InvalidInputError` for a name that no stack can have, and `ConfigurationError` for a folder that is in use.
    """
    check_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} already exists and is not an empty folder: choose another")
    engine = folder / ENGINE
    engine.mkdir(parents=True)
    wheel = engine_wheel(engine)
    files = files_in(wheel, name)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return sorted([*files, f"{ENGINE}/{wheel.name}"])

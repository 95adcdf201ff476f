"""Makes a new project."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from worldflow.engine.errors import ConfigurationError
from worldflow.project.manifest import ENGINE
from worldflow.project.naming import check_name
from worldflow.project.shipped import engine_wheel, files_in
from worldflow.project.texts import write


def create(folder: Path, name: str) -> list[str]:
    """Writes a project into a folder that is empty or does not exist. Returns the paths of its files.

    Raises `InvalidInputError` for a name that no stack can have, and `ConfigurationError` for a folder that is in use
    or has spaces in its path.
    """
    check_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} already exists and is not an empty folder: choose another")
    if any(character.isspace() for character in str(folder.resolve())):
        raise ConfigurationError(f"make needs a path without spaces: choose another than {folder.resolve()}")
    with tempfile.TemporaryDirectory() as place:
        wheel = engine_wheel(Path(place))
        files = files_in(wheel, name)
        (folder / ENGINE).mkdir(parents=True)
        shutil.copyfile(wheel, folder / ENGINE / wheel.name)
    for path, text in files.items():
        write(folder / path, text)
    return sorted([*files, f"{ENGINE}/{wheel.name}"])

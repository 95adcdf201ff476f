"""Puts the files of a new project into the package: those of the repository that it is built in.

The sdist contains them as well, so that a wheel can be built from it.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROJECT = "worldflow/project"


class FilesOfAProject(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        repository = Path(self.root).parents[1]
        if version == "editable" or not (repository / "starter").is_dir():
            return
        sources = runpy.run_path(str(Path(self.root, PROJECT, "manifest.py")))["SOURCES"]
        build_data["force_include"] |= {
            str(repository / source): f"{PROJECT}/data/{path}" for path, source in sources.items()
        }

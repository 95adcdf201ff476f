"""`python -m tools.starter WHEEL FOLDER`: a new project as a ZIP for `sam init --location`, a template of Cookiecutter.

It has the files that `python -m worldflow new` writes, with a place for the name that `sam init --name` gives.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import worldflow
from worldflow.project.manifest import ENGINE
from worldflow.project.naming import PLACES
from worldflow.project.shipped import files_in

NAME = "{{ cookiecutter.project_name }}"


def build_starter(wheel: Path, folder: Path) -> Path:
    """Writes `worldflow-starter-VERSION.zip` into a folder."""
    top = f"worldflow-starter-{worldflow.__version__}/"
    files: dict[str, str | bytes] = {**files_in(wheel, NAME), f"{ENGINE}/{wheel.name}": wheel.read_bytes()}
    context = {
        "project_name": "my-app",
        "_copy_without_render": sorted(files.keys() - PLACES.keys()),
    }
    archive = folder / f"{top.rstrip('/')}.zip"
    with ZipFile(archive, "w", ZIP_DEFLATED) as out:
        out.mkdir(top)  # first, as Cookiecutter wants it
        out.writestr(f"{top}cookiecutter.json", json.dumps(context, indent=2))
        for path, content in files.items():
            out.writestr(f"{top}{NAME}/{path}", content)
    return archive


if __name__ == "__main__":
    print(build_starter(Path(sys.argv[1]), Path(sys.argv[2])))

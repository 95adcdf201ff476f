"""Puts everything that a release consists of into `dist/`: `python -m tools.release [--tag v1.2.3]`.

These are the sdist, the wheel, the notes from CHANGELOG.md, a project for `sam init`, and the engine's layer for each
runtime and architecture.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import worldflow
from tools.starter import build_starter

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "layers" / "worldflow"
TARGETS = ROOT / "layers" / "targets"

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a layer, so that the same content makes the same archive."""


class ReleaseError(Exception):
    """The repository cannot be released as it is."""


def notes(changelog: str, version: str) -> str:
    """The section of a changelog about `version`, without its heading. Raises `ReleaseError` if it has none."""
    section = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|^\[|\Z)", changelog, re.M | re.S)
    if section is None:
        raise ReleaseError(f"CHANGELOG.md has no section `## [{version}] - date`")
    return section[1].strip() + "\n"


def check_tag(tag: str, version: str) -> None:
    """Raises `ReleaseError` if the tag names another version than the code has."""
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, but worldflow.__version__ is {version}: the tag must be v{version}")


def build_packages(place: Path) -> list[Path]:
    """The sdist, and the wheel that is built from it."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--directory", place], cwd=PACKAGE, check=True)
    return sorted(place.glob(f"worldflow-{worldflow.__version__}*"))


def build_layer(target: str, place: Path) -> Path:
    """The engine's layer for a target such as `python3.13-arm64`, as `sam build` makes it."""
    archive = place / f"worldflow-layer-{worldflow.__version__}-{target}.zip"
    with tempfile.TemporaryDirectory() as content:
        makefile = str(TARGETS / target / "Makefile")
        command = ["make", "--no-print-directory", "-f", makefile, "build-EngineLayer", f"ARTIFACTS_DIR={content}"]
        subprocess.run(command, cwd=PACKAGE, check=True)
        pack(Path(content), archive)
    return archive


def pack(folder: Path, archive: Path) -> None:
    """A ZIP of all files in a folder that depends on nothing but their names and contents."""
    with ZipFile(archive, "w", ZIP_DEFLATED) as out:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = ZipInfo(str(path.relative_to(folder)), LONG_AGO)
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            out.writestr(entry, path.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a release into a folder.")
    parser.add_argument("--tag", help="the tag that is released; it must be the version of the code")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--target", action="append", help="layers to build (default: all), such as python3.13-arm64")
    args = parser.parse_args()
    args.dist.mkdir(parents=True, exist_ok=True)
    try:
        if args.tag:
            check_tag(args.tag, worldflow.__version__)
        text = notes((ROOT / "CHANGELOG.md").read_text(), worldflow.__version__)
    except ReleaseError as error:
        sys.exit(f"Error: {error}")
    (args.dist / "notes.md").write_text(text)
    packages = build_packages(args.dist.resolve())
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *packages], check=True)
    print(build_starter(packages[0], args.dist))
    for target in args.target or sorted(folder.name for folder in TARGETS.iterdir()):
        print(build_layer(target, args.dist))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The engine's wheel, made from the repository or from an installed package, and the files of a project in it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import worldflow
from worldflow.engine.errors import ConfigurationError
from worldflow.project.naming import ORIGINAL, renamed

DATA = "worldflow/project/data/"
"""Where a wheel has the files of a project."""

_REPOSITORY = Path(worldflow.__file__).parents[3]
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_OF_THE_INSTALLATION = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}


def is_repository() -> bool:
    """Whether this package is that of a checkout of the repository."""
    return (_REPOSITORY / "layers/worldflow/hatch_build.py").is_file()


def engine_wheel(folder: Path) -> Path:
    """Writes this package as a wheel into a folder. Raises `ConfigurationError`."""
    if is_repository():
        package = _REPOSITORY / "layers/worldflow"
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder.resolve())]
        done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigurationError(f"the wheel cannot be built: {done.stderr.strip()}")
        return folder / f"worldflow-{worldflow.__version__}-py3-none-any.whl"
    return repacked(metadata.distribution("worldflow"), folder)


def repacked(distribution: metadata.Distribution, folder: Path) -> Path:
    """Writes the wheel that an installed distribution came from into a folder."""
    wheel = folder / f"worldflow-{distribution.version}-py3-none-any.whl"
    lines, record = [], ""
    with ZipFile(wheel, "w", ZIP_DEFLATED) as archive:
        for file in sorted(distribution.files or ()):
            if file.name == "RECORD":
                record = file.as_posix()
            elif _is_packed(file):
                content = Path(str(distribution.locate_file(file))).read_bytes()
                _add(archive, file.as_posix(), content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                lines.append(f"{file.as_posix()},sha256={digest},{len(content)}\n")
        if not record:
            raise ConfigurationError("the installed worldflow has no list of its files: install it from a wheel")
        _add(archive, record, "".join([*lines, f"{record},,\n"]).encode())
    return wheel


def _is_packed(file: PurePosixPath) -> bool:
    is_added = file.parts[0].endswith(".dist-info") and file.name in _OF_THE_INSTALLATION
    return not is_added and ".." not in file.parts and "__pycache__" not in file.parts


def _add(archive: ZipFile, name: str, content: bytes) -> None:
    entry = ZipInfo(name, _LONG_AGO)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def content(wheel: Path) -> dict[str, bytes]:
    """What a wheel contains, by name, apart from the list of it. Raises `ConfigurationError`."""
    try:
        with ZipFile(wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}
    except (OSError, BadZipFile) as error:
        raise ConfigurationError(f"{wheel} cannot be read as a wheel: {error}") from None


def files_in(wheel: Path, name: str) -> dict[str, str]:
    """The files of a project by their paths, with the application's name. Raises `ConfigurationError`."""
    shipped = content(wheel).items()
    texts = {entry.removeprefix(DATA): text.decode() for entry, text in shipped if entry.startswith(DATA)}
    if not texts:
        raise ConfigurationError(f"{wheel} is no wheel of Worldflow with the files of a project")
    return {path: renamed(path, text, ORIGINAL, name) for path, text in texts.items()}

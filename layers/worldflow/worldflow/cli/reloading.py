"""A worker process that is replaced when its workflows' files change: for development."""

from __future__ import annotations

import importlib.util
import os
import signal as signals
import subprocess  # nosec B404  # it starts this very command again
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import typer

_LOOK_EVERY = 0.5
"""Seconds between two looks at the files."""

_Files = dict[Path, tuple[int, int]]


def folders_of(modules: Iterable[str]) -> list[Path]:
    """Where modules are, without importing them: a package's own folder, or the one that a module is in."""
    found: list[Path] = []
    for name in modules:
        try:
            spec = importlib.util.find_spec(name)
        except Exception:  # nosec B112  # of the package that it is in: what cannot be found is not watched
            continue
        if spec and spec.submodule_search_locations:
            found += map(Path, spec.submodule_search_locations)
        elif spec and spec.origin:
            found.append(Path(spec.origin).parent)
    return found


def seen(folders: Iterable[Path]) -> _Files:
    """The Python files in folders, and how to tell whether they have changed."""
    return {path: (about.st_mtime_ns, about.st_size) for folder in folders for path, about in _python_files(folder)}


def _python_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith((".", "__")) and not _is_environment(place, name)]
        for name in names:
            if name.endswith(".py"):
                path = Path(place, name)
                try:
                    yield path, path.stat()
                except FileNotFoundError:  # an editor is at work
                    continue


def _is_environment(place: str, name: str) -> bool:
    return Path(place, name, "pyvenv.cfg").exists()


def run_and_reload(command: Sequence[str], folders: Sequence[Path]) -> int:
    """Runs a worker, and restarts it when a file changes, until this process is told to end. Returns the exit
    code.

    A worker that is replaced ends as on SIGTERM. One that fails is replaced when a file has changed.
    """
    told = threading.Event()
    process = _begin(command)

    def end(number: int, frame: FrameType | None) -> None:
        told.set()
        process.terminate()  # told twice, it does not wait for its steps

    before = {number: signals.signal(number, end) for number in (signals.SIGINT, signals.SIGTERM)}
    try:
        files = seen(folders)
        while not told.wait(_LOOK_EVERY):
            if (now := seen(folders)) != files:
                changed = sorted(path.name for path, _ in now.items() ^ files.items())
                typer.echo(f"Reloading: {', '.join(dict.fromkeys(changed))}", err=True)
                files = now
                process.terminate()
                process.wait()
                process = _begin(command)
                if told.is_set():  # meanwhile
                    process.terminate()
            elif process.poll() == 0:
                return 0
        return 0 if process.wait() in (0, -signals.SIGTERM) else 1
    finally:
        for number, handler in before.items():
            signals.signal(number, handler)


def _begin(command: Sequence[str]) -> subprocess.Popen[bytes]:
    # Ctrl-C reaches this process alone, which passes it on: a worker that receives it twice ends at once.
    return subprocess.Popen([sys.executable, "-m", "worldflow", *command], start_new_session=True)  # nosec B603

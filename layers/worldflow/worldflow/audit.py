"""In tests, stops workflow code that reaches past its event loop: for a file, a connection, a thread, a process.

Python tells audit hooks of all of these (PEP 578). The hook of this module looks only at threads in which a workflow
runs just now, in a `WorkflowEnvironment`, and it leaves alone what Python and its tools do by themselves: imports,
tracebacks, logs, time zones, debuggers, coverage. It is never installed in production, where a replay would meet the
same code, but nobody could write `@step` in time.

The clock, chance and the environment raise no audit events: `python -m worldflow check` finds these.
"""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from worldflow.engine.errors import UnsupportedOperationError
from worldflow.engine.here import COLLECTOR, running_loop
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.loop import WorkflowLoop

_STEP = "do it in a @step"
_THREAD = "use a plain (not async) function with @step, which runs in a thread"
_GROUPS = (
    ("open", "opened a file", _STEP),
    (
        """glob.glob os.chmod os.chown os.link os.listdir os.mkdir os.remove os.rename os.rmdir os.scandir os.symlink
        os.truncate os.utime shutil.copyfile shutil.move shutil.rmtree tempfile.mkdtemp tempfile.mkstemp""",
        "accessed the file system",
        _STEP,
    ),
    ("sqlite3.connect", "opened a database", _STEP),
    (
        """ftplib.connect http.client.connect http.client.send imaplib.open poplib.connect smtplib.connect socket.bind
        socket.connect socket.getaddrinfo socket.gethostbyaddr socket.gethostbyname socket.gethostname
        socket.getnameinfo socket.sendmsg socket.sendto urllib.Request""",
        "accessed the network",
        _STEP,
    ),
    (
        """os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.system pty.spawn subprocess.Popen""",
        "started a process",
        _STEP,
    ),
    ("_thread.start_joinable_thread _thread.start_new_thread", "started a thread", _THREAD),
    ("time.sleep", "called time.sleep(), which blocks the process", "write `await worldflow.sleep(...)`"),
    ("builtins.input", "asked for input", "use wait_for_signal()"),
)
_REFUSED = {event: (what, instead) for events, what, instead in _GROUPS for event in events.split()}
"""By audit event: what the error says that the workflow did, and what to do instead."""

_TOOLS = """IPython _frozen_importlib _frozen_importlib_external _pydevd_bundle _pytest bdb cmd code codeop coverage
    dateutil debugpy importlib inspect linecache logging pdb pkgutil pluggy pydevd pytest pytz tokenize traceback tzdata
    unittest warnings zipimport zoneinfo"""
_LEFT_ALONE = frozenset(_TOOLS.split())
"""Top-level modules that may do as they like, and so may whatever they call."""

_ENTRANCES = (WorkflowLoop.run.__code__, WorkflowLoop.call.__code__, Execution.apply.__code__)
"""Where the workflow's code is entered: what is outside is not its own."""

_OURS = f"{Path(__file__).parent}{os.sep}"
_STDLIB = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("purelib", "platlib"))

_ALLOW = re.compile(r"#.*\bworldflow:\s*allow\b")

_installed = False


def install() -> None:
    """Installs the hook, once. There is no way to take it away again: what it costs is a look into a dict."""
    global _installed
    if not _installed:
        _installed = True
        _audit_what_python_does_not()
        sys.addaudithook(_hook)


def _audit_what_python_does_not() -> None:
    """Python 3.11 tells nobody of a thread that is started, and none before 3.13 of `time.sleep`."""
    if sys.version_info < (3, 12):
        start = threading.Thread.start

        @functools.wraps(start)
        def audited_start(self: threading.Thread) -> None:
            sys.audit("_thread.start_new_thread", start, (self,), None)
            start(self)

        threading.Thread.start = audited_start  # type: ignore[method-assign]
    if sys.version_info < (3, 13):
        sleep = time.sleep

        @functools.wraps(sleep)
        def audited_sleep(seconds: float, /) -> None:
            sys.audit("time.sleep", seconds)
            sleep(seconds)

        for module in list(sys.modules.values()):  # also where it was imported by its name, or as another
            names = [name for name, value in list(getattr(module, "__dict__", {}).items()) if value is sleep]
            for name in names:
                setattr(module, name, audited_sleep)


# What it asks first are defaults: audit events come, too, when the globals of modules are gone already.
def _hook(event: str, arguments: tuple[Any, ...], refused: Any = _REFUSED, here: Any = running_loop) -> None:
    if event not in refused:
        return
    loop = here()
    if loop is None or loop is COLLECTOR or not isinstance(loop.host, Execution) or not loop.host.strict or loop.closed:
        return
    frames = list(_of_the_workflow(sys._getframe(1)))
    if _may(frames) or (event == "open" and _is_a_time_zone(arguments[0])):
        return
    what, instead = _REFUSED[event]
    raise UnsupportedOperationError(
        f"workflow {loop.host.workflow.name!r} {what}, and every replay would repeat it{_place(frames)}: {instead}"
    )


def _of_the_workflow(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames from the innermost to where the workflow was entered."""
    while frame and frame.f_code not in _ENTRANCES:
        if frame.f_code.co_filename != __file__:
            yield frame
        frame = frame.f_back


def _may(frames: list[FrameType]) -> bool:
    if any(_module(frame) in _LEFT_ALONE for frame in frames):
        return True
    asking = next((frame for frame in frames if not _is_below(frame, _STDLIB) or _is_below(frame, _INSTALLED)), None)
    if asking is None or _is_below(asking, (_OURS,)):
        return True  # the engine's own work
    return any(_ALLOW.search(_line(frame)) for frame in frames if _is_users(frame))


def _is_a_time_zone(path: Any) -> bool:
    """Whether `ZoneInfo`, which opens its files in C, is at work."""
    zoneinfo = sys.modules.get("zoneinfo")
    return zoneinfo is not None and isinstance(path, str) and path.startswith(tuple(zoneinfo.TZPATH))


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_below(frame: FrameType, directories: tuple[str, ...]) -> bool:
    return frame.f_code.co_filename.startswith(directories)


def _is_users(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith((_OURS, *_STDLIB, *_INSTALLED, "<frozen "))


def _line(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def _place(frames: list[FrameType]) -> str:
    """Where it was, in the application's own code."""
    of_users = [frame for frame in frames if _is_users(frame)] or frames
    if not of_users:
        return ""
    frame = of_users[0]
    line = _line(frame)
    return f" (at {frame.f_code.co_filename}:{frame.f_lineno}{f', {line}' if line else ''})"

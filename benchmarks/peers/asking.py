"""Asks a program for a row. One that crashes, hangs or answers nonsense spoils that row, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.systems import ROOT

TO_END = 10  # seconds that a program has to end, when it has answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    ms: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Failure:
    why: str


async def ask(command: Sequence[str], row: str, limit: float) -> Answer | Failure:
    """
    limit: the seconds that it has, with all that precedes the measurement.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        async with _started([*command, row], Path(folder)) as program:
            answer = await _answer(program, row, limit, Path(folder))
            if isinstance(answer, Answer):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(program.wait(), TO_END)
            return answer


@asynccontextmanager
async def _started(command: Sequence[str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process group of its own, so that what a program has started ends with it."""
    try:
        with (folder / "errors").open("wb") as errors:
            program = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
    except OSError as error:
        # Said by the row: a program that cannot be started at all is as one that ends at once.
        (folder / "errors").write_text(f"{command[0]}: {error.strerror}")
        program = await asyncio.create_subprocess_exec("true", stdout=asyncio.subprocess.PIPE, start_new_session=True)
    try:
        yield program
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        await program.wait()


async def _answer(program: asyncio.subprocess.Process, row: str, limit: float, folder: Path) -> Answer | Failure:
    assert program.stdout is not None
    try:
        line = await asyncio.wait_for(program.stdout.readline(), limit)
    except TimeoutError:
        return Failure(f"not done after {limit:g} s")
    if not line:
        await program.wait()
        said = (folder / "errors").read_text(errors="replace").strip().splitlines()
        return Failure(f"ended with {program.returncode}: {said[-1].strip()[:200] if said else 'no word'}")
    try:
        found = json.loads(line)
        answer = Answer(ms=float(found["ms"]), began=float(found["began"]), ended=float(found["ended"]))
        sound = found["row"] == row and 0 < answer.ms < math.inf
    except (ValueError, KeyError, TypeError):
        sound = False
    return answer if sound else Failure(f"answered {line.decode(errors='replace').strip()[:80]!r}")

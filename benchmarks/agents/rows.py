"""The rows of the comparison, and how a program answers for one."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

ROWS = {
    "parallel": "five tools of one answer run at once",
    "nested": "a tool runs an agent, whose requests are durable too",
    "approval": "a tool waits for a person's approval, for days",
    "stream": "a reader gets tokens while the model makes them",
    "reconnect": "a reader comes back and reads on from where it stopped",
    "retried": "a reader is told that the tokens of an attempt that failed are void",
    "fork": "the run is continued from its second model request with another prompt, without its tools running again",
}

YES, MARKED, PARTLY, NO, FAILED = "yes", "if marked", "partly", "no", "failed"

Row = Callable[[Path], Awaitable[tuple[str, str]]]
"""Tries a row in a folder. Returns the verdict, and what was seen."""


def answer(rows: Mapping[str, Row]) -> None:
    """Runs the row named on the command line and prints its outcome, which may be an error."""
    row = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="agents-", ignore_cleanup_errors=True) as folder:
        try:
            verdict, seen = asyncio.run(_try(rows[row], Path(folder)))
        except BaseException as error:
            traceback.print_exc()
            verdict, seen = FAILED, f"{type(error).__name__}: {error}"
    print(json.dumps({"row": row, "verdict": verdict, "seen": seen}), flush=True)


async def _try(row: Row, folder: Path) -> tuple[str, str]:
    return await row(folder)

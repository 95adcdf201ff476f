"""Counts how often a row asks the disk to keep what was written, with strace."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from benchmarks.peers.asking import Failure, ask
from benchmarks.peers.systems import System

ROW = "100 steps"
NOT_COUNTED = "not counted"

_CALL = re.compile(r"^\d+\s+(\d+\.\d+) (?:fsync|fdatasync)\(", re.MULTILINE)


async def fsyncs(system: System, limit: float) -> str:
    """In the system's processes together, while the row was measured: without what starts and ends them."""
    if not shutil.which("strace") or ROW not in system.rows:
        return NOT_COUNTED if ROW in system.rows else ""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        trace = Path(folder) / "trace"
        tracer = ["strace", "-f", "-ttt", "-qq", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
        found = await ask([*tracer, *system.command()], ROW, limit)
        return NOT_COUNTED if isinstance(found, Failure) else str(count(trace.read_text(), found.began, found.ended))


def count(trace: str, began: float, ended: float) -> int:
    return sum(began <= float(moment) <= ended for moment in _CALL.findall(trace))

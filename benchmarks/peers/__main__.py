"""Worldflow beside its peers, on this machine, in one run: `make bench-peers`, or `python -m benchmarks.peers`.

Each system has a program beside this file, with its own interpreter, which is started anew for each row. The systems
take turns, as often as `--times` says. What fails is a row that says so.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.peers import report
from benchmarks.peers.asking import ask
from benchmarks.peers.fsyncs import fsyncs
from benchmarks.peers.report import Result
from benchmarks.peers.systems import INSTALLED, PYTHON, ROOT, SYSTEMS, System

PAGE = ROOT / "benchmarks/peers.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--times", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--limit", type=float, default=60, help="seconds for each row (default: 60)")
    parser.add_argument("--only", default="", help="systems whose name contains this")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page (default: benchmarks/peers.md)")
    given = parser.parse_args()
    chosen = [system for system in SYSTEMS if given.only.lower() in system.name.lower()]
    results = asyncio.run(_measure(chosen, given.times, given.limit))
    Console(width=200).print(_table(results))
    today = date.today().isoformat()
    given.output.write_text(report.page(results, machine=report.machine(), date=today, times=given.times))


async def _measure(systems: Sequence[System], times: int, limit: float) -> list[Result]:
    installed = _installed()
    results = [Result(system=system, versions=report.versions(installed, system)) for system in systems]
    for number in range(times):
        for result in results:
            print(f"{result.system.name}, {number + 1} of {times}", file=sys.stderr, flush=True)
            for row in result.system.rows:
                if result.is_to_be_measured(row):
                    result.answers.setdefault(row, []).append(await ask(result.system.command(), row, limit))
    for result in results:
        print(f"{result.system.name}, fsyncs", file=sys.stderr, flush=True)
        result.fsyncs = await fsyncs(result.system, limit)
    return results


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in report.HEADINGS:
        table.add_column(name, justify="right" if name else "left")
    for result in results:
        table.add_row(*result.cells())
    return table


def _installed() -> dict[str, str]:
    """The versions of the peers' packages, none where they are not installed."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found: dict[str, str] = {"worldflow": importlib.metadata.version("worldflow")}
    if Path(PYTHON).exists():
        found |= json.loads(subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)
    for package in (INSTALLED / "node_modules").glob("@*/*/package.json"):
        told = json.loads(package.read_text())
        found[told["name"]] = told["version"]
    return found


if __name__ == "__main__":
    main()

"""Agents on Worldflow and on its peers: `make bench-agents`, or `python -m benchmarks.agents`.

Each row runs in its own process, so a crash or a hang is an outcome of that row.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from rich.console import Console
from rich.table import Table

from benchmarks.agents.rows import FAILED, ROWS
from benchmarks.agents.systems import INSTALLED, ROOT, SYSTEMS, System

PAGE = ROOT / "benchmarks/agents.md"


@dataclass(frozen=True, slots=True)
class Tried:
    verdict: str
    seen: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents")
    parser.add_argument("--limit", type=float, default=90, help="seconds for each row (default: 90)")
    parser.add_argument("--only", default="", help="systems whose name contains this; writes no page")
    given = parser.parse_args()
    chosen = [system for system in SYSTEMS if given.only.lower() in system.name.lower()]
    results = {system.name: _try_all(system, given.limit) for system in chosen}
    console = Console(width=160)
    console.print(_table(results))
    for name, rows in results.items():
        for row, tried in rows.items():
            console.print(f"{name}, {row}: {tried.seen}", highlight=False, markup=False, soft_wrap=True)
    if not given.only:
        PAGE.write_text(_page(results))


def _try_all(system: System, limit: float) -> dict[str, Tried]:
    rows = {}
    for row in ROWS:
        print(f"{system.name}, {row}", file=sys.stderr, flush=True)
        rows[row] = _try(system.command(row), limit)
    return rows


def _try(command: Sequence[str], limit: float) -> Tried:
    """Runs a program in its own process group, so that its child processes end with it."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        try:
            told, errors = program.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return Tried(FAILED, f"no answer within {limit:g} s")
        finally:
            _end(program)
    lines = told.strip().splitlines()
    if program.returncode or not lines:
        return Tried(FAILED, (errors.strip().splitlines() or ["no answer"])[-1])
    answer = json.loads(lines[-1])
    return Tried(answer["verdict"], answer["seen"])


def _end(program: subprocess.Popen[str]) -> None:
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _table(results: Mapping[str, Mapping[str, Tried]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", *results):
        table.add_column(heading)
    for row, meaning in ROWS.items():
        table.add_row(meaning, *(rows[row].verdict for rows in results.values()))
    return table


def _page(results: Mapping[str, Mapping[str, Tried]]) -> str:
    lines = [
        "# Agents, tried",
        "",
        f"Written by `make bench-agents` on {date.today().isoformat()}. What each word means, and when another system",
        "is the better choice: [Agents compared](../docs/agents-compared.md). The programs are in",
        "[`benchmarks/agents`](agents/README.md).",
        "",
        f"| | {' | '.join(results)} |",
        f"|---|{'---|' * len(results)}",
    ]
    lines += [f"| {ROWS[row]} | {' | '.join(r[row].verdict for r in results.values())} |" for row in ROWS]
    for system in SYSTEMS:
        lines += ["", f"## {system.name}", "", _versions(system), ""]
        lines += ["| | | what was seen |", "|---|---|---|"]
        lines += [f"| {row} | {tried.verdict} | {_cell(tried.seen)} |" for row, tried in results[system.name].items()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _versions(system: System) -> str:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    found = json.loads(subprocess.run([system.python, "-c", code], capture_output=True, text=True, check=True).stdout)
    for package in INSTALLED.glob("node_modules/@*/*/package.json"):
        told = json.loads(package.read_text())
        found[told["name"]] = told["version"]
    return ", ".join(f"{name} {found.get(name, 'not installed')}" for name in system.packages) + "."


if __name__ == "__main__":
    main()

"""`make bench`: runs all parts, and writes `benchmarks/results.md`. `python -m benchmarks PART` runs one, and writes
nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from benchmarks.results import Section, machine, report, sections_of

PARTS = (
    "counts",
    "replay",
    "conversation",
    "local",
    "streams",
    "maps",
    "console",
    "cold_start",
    "step_functions",
    "tools_in_parallel",
)
RESULTS = Path(__file__).with_name("results.md")
WIDTH = 180


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help=f"{', '.join(PARTS)}; all of them unless given")
    chosen = parser.parse_args().part
    console = Console(width=WIDTH, highlight=False)
    console.print(f"On {machine()}.")
    found = []
    for section in _run(chosen or PARTS):
        console.print(section.shown())
        found.append(section)
    if not chosen:
        RESULTS.write_text(report(found))
        console.print(f"\nWritten to {RESULTS.relative_to(Path.cwd())}.")


def _run(parts: Iterable[str]) -> Iterator[Section]:
    """Each part in a process of its own: what one leaves in memory slows the next."""
    for part in parts:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            yield from process.submit(sections_of, part).result()


if __name__ == "__main__":
    main()

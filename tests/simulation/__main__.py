"""`make simulate`: many seeds, and what they came to; or one, with its trace."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import course
from tests.simulation.guards import GUARDS, without
from tests.simulation.shrinking import shrink, trace
from tests.simulation.simulation import Report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--without", choices=GUARDS, help="take a guard out, and run seeds until one fails")
    parser.add_argument("--whole", action="store_true", help="print the whole trace of a seed, with all its faults")
    given = parser.parse_args()
    if given.seed is not None:
        return show(course.run(given.seed), whole=given.whole)
    if given.without:
        return look_for_what_finds(given.without, range(given.first, given.first + given.seeds))
    return simulate(range(given.first, given.first + given.seeds), given.jobs)


def show(report: Report, *, whole: bool = False) -> int:
    """Prints a seed's trace: the shortest one that fails, unless the whole is wanted."""
    if report.problems and not whole:
        report, _ = shrink(report)
    notes = report.notes if whole else trace(report) if report.problems else []
    print(f"seed {report.seed}: {report.happenings} happenings, {report.commits} commits, {_counted(report.runs)}")
    print(*notes, sep="\n")
    print(*(report.problems or ["nothing is wrong"]), sep="\n")
    return bool(report.problems)


def simulate(seeds: range, jobs: int) -> int:
    """Runs seeds, and prints how many faults of which kind they were given. Returns whether one failed."""
    started, faults, runs, swept, failed, commits = (
        time.monotonic(),
        Counter[str](),
        Counter[str](),
        Counter[str](),
        [],
        0,
    )
    for report in _reports(seeds, jobs):
        faults.update(report.injected)
        runs.update(report.runs)
        swept.update(report.swept)
        commits += report.commits
        if report.problems:
            failed.append(report.seed)
            print(f"seed {report.seed} fails: {report.problems[0]}", flush=True)
    took = time.monotonic() - started
    print(f"{len(seeds)} seeds in {took:.0f} s, {len(seeds) / took:.1f} seeds a second with {jobs} processes")
    print(f"{sum(runs.values())} runs: {_counted(runs)}; {commits} commits")
    print(f"for the sweep to help: {_counted(swept) or 'nothing'}")
    print(f"{sum(faults.values())} faults:")
    print(*(f"{count:9}  {kind}" for kind, count in faults.most_common()), sep="\n")
    if failed:
        print(f"\n{len(failed)} seeds failed: {', '.join(map(str, sorted(failed)))}. The first of them:\n")
        show(course.run(min(failed)))
    return bool(failed)


def look_for_what_finds(guard: str, seeds: range) -> int:
    """Runs seeds without a guard until one fails. Returns whether none did."""
    with without(guard):
        for seed in seeds:
            if problems := course.run(seed).problems:
                print(f"without {guard!r}, seed {seed} fails: {problems[0]}")
                return 0
    print(f"without {guard!r}, no seed of {len(seeds)} fails")
    return 1


def _reports(seeds: range, jobs: int) -> Iterator[Report]:
    if jobs == 1:
        yield from map(brief, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(brief, seeds, chunksize=10)


def brief(seed: int) -> Report:
    """The report of a seed without its trace."""
    report = course.run(seed)
    report.notes = []
    return report


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())

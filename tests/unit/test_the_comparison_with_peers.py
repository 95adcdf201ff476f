"""What a peer's program does wrong is said in its row, and the page holds what was measured."""

import sys
from dataclasses import replace

import pytest

from benchmarks.peers import report
from benchmarks.peers.asking import Answer, Failure, ask
from benchmarks.peers.fsyncs import count
from benchmarks.peers.report import Result
from benchmarks.peers.systems import SYSTEMS


def program(code: str) -> list[str]:
    """One that does `code` when it is asked for a row, where `answer(row)` is a sound answer."""
    lines = [
        "import json, sys, time",
        "row = sys.argv[1]",
        "def answer(row, ms=12.5): print(json.dumps({'row': row, 'ms': ms, 'began': 1, 'ended': 2}), flush=True)",
        code,
    ]
    return [sys.executable, "-c", "\n".join(lines)]


async def test_a_sound_answer() -> None:
    assert await ask(program("answer(row)"), "10 steps", limit=30) == Answer(ms=12.5, began=1, ended=2)


async def test_a_program_that_crashes() -> None:
    found = await ask(program("sys.exit('no such server')"), "10 steps", limit=30)
    assert found == Failure("ended with 1: no such server")


async def test_a_program_that_prints_nonsense() -> None:
    assert await ask(program("print('ready')"), "10 steps", limit=30) == Failure("answered 'ready'")


@pytest.mark.parametrize("code", ["answer(row, ms=float('inf'))", "answer(row, ms=0)", "answer('100 steps')"])
async def test_an_answer_that_cannot_be(code: str) -> None:
    assert isinstance(await ask(program(code), "10 steps", limit=30), Failure)


async def test_a_program_that_hangs() -> None:
    assert await ask(program("time.sleep(60)"), "10 steps", limit=0.1) == Failure("not done after 0.1 s")


async def test_a_program_that_is_not_there() -> None:
    found = await ask(["/nowhere/python"], "10 steps", limit=30)
    assert isinstance(found, Failure) and "/nowhere/python: No such file or directory" in found.why


def test_the_page() -> None:
    good = Result(system=replace(SYSTEMS[0], name="One"), versions=" (one 1.0)", fsyncs="100")
    good.answers = {"10 steps": [_took(3), _took(1), _took(2)], "1,000 steps": [_took(12_345)]}
    bad = Result(system=replace(SYSTEMS[1], name="Two"), versions="", fsyncs="not counted")
    bad.answers = {"10 steps": [_took(1), Failure("ended with 1: a | b")]}
    lines = report.page([good, bad], machine="A machine.", date="2026-01-01", times=3).splitlines()
    assert "| One | 2.0 |  | 12,345 |  |  |  |  | 100 |" in lines
    assert "| Two | failed |  |  |  |  |  |  | not counted |" in lines
    assert "- One, 1,000 steps: measured 1 of 3 times, for it takes long" in lines
    assert "- Two, 10 steps: ended with 1: a | b" in lines


def test_fsyncs_are_those_of_the_row() -> None:
    trace = "\n".join(
        [
            "7 100.000001 fsync(3) = 0",
            "7 200.000001 fsync(3 <unfinished ...>",
            "8 200.000002 fdatasync(4) = 0",
            "7 200.000003 <... fsync resumed>) = 0",
            "9 300.000001 fdatasync(4) = 0",
        ]
    )
    assert count(trace, 200, 300) == 2


def _took(ms: float) -> Answer:
    return Answer(ms=ms, began=0, ended=1)

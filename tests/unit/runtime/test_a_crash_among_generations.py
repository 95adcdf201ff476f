"""The process dies anywhere while runs go on as their next generations, with hooks, updates and attributes: what was
sent to them is received once and in order, and nothing is left behind.
"""

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    persist,
    serve,
    whole_history,
)
from worldflow import (
    continue_as_new,
    create_hook,
    on_update,
    set_attributes,
    set_status,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Fact, Replied, RunContinued
from worldflow.runtime import sending, starting, updates, webhooks
from worldflow.worlds import items

GENERATIONS = 3

pytestmark = pytest.mark.usefixtures("quiet")


@step(inline=True)
async def note_down(text: str) -> str:
    return text.upper()


@workflow
async def generations(n: int, seen: list[str]) -> list[str]:
    notes: list[str] = []
    on_update("note")(notes.append)
    set_attributes(generation=n)
    if n == 1:
        set_attributes(first=True)
    with create_hook(str, token="door") as hook:
        set_status(f"generation {n}")
        seen.append(await note_down(await wait_for_signal("word", str)))
        seen.append(await hook)
    seen += notes
    if n == GENERATIONS:
        return seen
    continue_as_new(n + 1, seen)


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", generations, {"n": 1, "seen": []}))
    for word in ("one", "two", "three"):
        persist(lambda word=word: sending.signal(world, "r", "word", word, signal_id=word))  # type: ignore[misc]
    persist(lambda: updates.send_update(world, "r", "note", ("noted",), update_id="u"))
    for n in range(1, GENERATIONS + 1):
        serve(world, live_limit=live_limit)
        token = webhooks.get_hook(world, "door")
        assert token.run_id == ("r" if n == 1 else f"r~{n}"), world.crashed
        persist(lambda n=n: webhooks.resume_hook(world, "door", f"opened {n}", resume_id=f"{n}"))  # type: ignore[misc]
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    told = world.crashed
    last = world.read_run(f"r~{GENERATIONS}")
    assert last.status == "completed", (last, told)
    assert last.result == ["ONE", "opened 1", "noted", "TWO", "opened 2", "THREE", "opened 3"], told
    assert last.attributes == {"generation": GENERATIONS, "first": True}, told
    assert last.status_text == f"generation {GENERATIONS}"
    assert items.get_generation(world, "r") == GENERATIONS
    for n in range(1, GENERATIONS + 1):
        run_id = "r" if n == 1 else f"r~{n}"
        history = whole_history(world, run_id, generations)
        facts = [event.fact_id for event in history if isinstance(event, Fact) and not event.held]
        assert len(facts) == len(set(facts)), told
        if n < GENERATIONS:
            assert isinstance(history[-1], RunContinued)
            record = world.read_run(run_id)
            assert (record.status, record.next_run_id) == ("continued", f"r~{n + 1}"), told
    replies = [event for event in world.load_history("r") if isinstance(event, Replied)]
    assert len(replies) == 1
    assert items.get_hook(world, "door") is None, told
    assert world._rows("select * from runs where run_id like 'r~%' and run_id > 'r~3'") == []
    assert world._rows("select body from messages") == [], told


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(20))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import wait_for_signal, workflow


def test_it_is_kept(drive: Drive):
    @workflow
    async def slow_to_listen() -> str:
        await work()
        return await wait_for_signal("approval")

    run = drive(slow_to_listen)
    run.signal("approval", "yes")
    assert run.decided == []
    run.complete("s1")
    assert run.result() == "yes"


def test_several_are_kept_in_order(drive: Drive):
    @workflow
    async def slow_to_listen() -> list[int]:
        await work()
        return [await wait_for_signal("n") for _ in range(4)]

    run = drive(slow_to_listen)
    for n in range(3):
        run.signal("n", n)
    run.complete("s1")
    assert not run.ended
    run.signal("n", 3)
    assert run.result() == [0, 1, 2, 3]


def test_names_are_kept_apart(drive: Drive):
    @workflow
    async def choosy() -> list[str]:
        await work()
        return [await wait_for_signal("b"), await wait_for_signal("a")]

    run = drive(choosy)
    run.signal("a", "for a")
    run.signal("b", "for b")
    run.complete("s1")
    assert run.result() == ["for b", "for a"]


def test_one_that_nobody_waits_for_does_no_harm(drive: Drive):
    @workflow
    async def deaf() -> str:
        return await work()

    run = drive(deaf)
    run.signal("hello", {"any": ["thing", None]})
    run.complete("s1", "done")
    assert run.result() == "done"

"""Which generation of a run is the newest: a number that never goes back."""

import threading

import pytest

from worldflow.worlds import World, items


def test_a_run_that_nobody_followed_is_the_first(world: World) -> None:
    assert items.get_generation(world, "r") == 1


def test_the_newest_is_known(world: World) -> None:
    items.put_generation(world, "r", 2)
    assert items.get_generation(world, "r") == 2

    items.put_generation(world, "r", 3)
    assert items.get_generation(world, "r") == 3


@pytest.mark.parametrize(("known", "late"), [(3, 2), (3, 3), (10, 9), (2, 1)])
def test_what_is_said_late_does_not_take_it_back(world: World, known: int, late: int) -> None:
    items.put_generation(world, "r", known)
    items.put_generation(world, "r", late)

    assert items.get_generation(world, "r") == known


def test_generations_may_be_left_out(world: World) -> None:
    items.put_generation(world, "r", 7)

    assert items.get_generation(world, "r") == 7


@pytest.mark.parametrize("other", ["q", "r~c1", "R", "r ", "r~2"])
def test_runs_stay_apart(world: World, other: str) -> None:
    items.put_generation(world, "r", 5)

    assert items.get_generation(world, other) == 1


def test_many_at_once(world: World) -> None:
    threads = [threading.Thread(target=items.put_generation, args=(world, "r", number)) for number in (3, 9, 5, 7, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert items.get_generation(world, "r") == 9


def test_it_is_no_run(world: World) -> None:
    items.put_generation(world, "r", 2)

    assert world.get_run("generation#r") is None
    assert world.get_run("r") is None
    assert world.list_runs().runs == []

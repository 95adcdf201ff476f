"""Which generation of a run is the newest: a number that never goes back."""

import threading

import pytest

from worldflow.worlds import World


def test_a_run_that_nobody_followed_is_the_first(world: World) -> None:
    assert world.get_generation("r") == 1


def test_the_newest_is_known(world: World) -> None:
    world.put_generation("r", 2)
    assert world.get_generation("r") == 2

    world.put_generation("r", 3)
    assert world.get_generation("r") == 3


@pytest.mark.parametrize(("known", "late"), [(3, 2), (3, 3), (10, 9), (2, 1)])
def test_what_is_said_late_does_not_take_it_back(world: World, known: int, late: int) -> None:
    world.put_generation("r", known)
    world.put_generation("r", late)

    assert world.get_generation("r") == known


def test_generations_may_be_left_out(world: World) -> None:
    world.put_generation("r", 7)

    assert world.get_generation("r") == 7


@pytest.mark.parametrize("other", ["q", "r~c1", "R", "r ", "r~2"])
def test_runs_stay_apart(world: World, other: str) -> None:
    world.put_generation("r", 5)

    assert world.get_generation(other) == 1


def test_many_at_once(world: World) -> None:
    threads = [threading.Thread(target=world.put_generation, args=("r", number)) for number in (3, 9, 5, 7, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.get_generation("r") == 9


def test_it_is_no_run(world: World) -> None:
    world.put_generation("r", 2)

    assert world.get_run("generation#r") is None
    assert world.get_run("r") is None
    assert world.list_runs().runs == []

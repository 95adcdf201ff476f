"""The ids of generations and children, which no user can choose."""

import pytest

from worldflow.engine.ids import child_run_id, generation, generation_id, next_generation


@pytest.mark.parametrize(
    ("run_id", "base", "number"),
    [
        ("order-1", "order-1", 1),
        ("order-1~2", "order-1", 2),
        ("order-1~10", "order-1", 10),
        ("order-1~c3", "order-1~c3", 1),
        ("order-1~c3~2", "order-1~c3", 2),
        ("order-1~2~c3", "order-1~2~c3", 1),
        ("order-1~2~c3~4", "order-1~2~c3", 4),
        ("2", "2", 1),
    ],
)
def test_a_run_knows_its_generation(run_id: str, base: str, number: int):
    assert generation(run_id) == (base, number)
    assert generation_id(base, number) == run_id


@pytest.mark.parametrize(
    ("run_id", "following"),
    [("a", "a~2"), ("a~2", "a~3"), ("a~9", "a~10"), ("a~c1", "a~c1~2"), ("a~c1~2", "a~c1~3"), ("a~2~c1", "a~2~c1~2")],
)
def test_the_generation_that_follows(run_id: str, following: str):
    assert next_generation(run_id) == following


def test_children_of_different_generations_are_different_runs():
    assert len({child_run_id(run_id, "c1") for run_id in ("a", "a~2", "a~c1", "a~2~c1")}) == 4


def test_children_of_children_stay_short_and_apart():
    ids, run_id = set(), "x" * 100
    for depth in range(300):
        run_id = child_run_id(run_id, f"c{depth % 2 + 1}")
        ids.add(run_id)
        assert len(run_id) <= 210
    assert len(ids) == 300
    assert child_run_id(run_id, "c1") != child_run_id(run_id, "c2")


def test_the_child_of_a_long_id_is_the_same_each_time():
    run_id = "~".join(["x" * 100, *["c1"] * 60])
    assert child_run_id(run_id, "c1") == child_run_id(run_id, "c1")
    assert child_run_id(run_id, "c1") != child_run_id(run_id + "~c1", "c1")

"""A message about what is not loaded lists some of what is: not so many that its end is lost."""

from __future__ import annotations

from worldflow.engine.errors import NAMED, loaded


def test_some_names_are_all_listed() -> None:
    assert loaded("step", ["ship", "charge"]) == "loaded steps: charge, ship"
    assert loaded("step", []) == "no steps are loaded"


def test_of_many_the_first_are_listed() -> None:
    names = [f"w{number:03}" for number in range(NAMED + 7)]
    assert loaded("workflow", names) == f"loaded workflows: {', '.join(names[:NAMED])} and 7 more"

"""Values beside the JSON that they were recorded as, where most were compared before.

The calls of an agent take its whole conversation each time. To write all of it as JSON once more, only to find that it
is what the history has, would make a replay as slow as the square of the conversation's length. So an item of a list
that was found to be what the history has is not looked at again where a later call has the same two objects. The
history's is the same object if nothing of it changed between the calls (`repeats.py`). What goes unnoticed is that the
workflow has changed its own object meanwhile, as it did not when the history was written: no replay goes another way
for that, but no warning says so. Tests look at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worldflow.engine.history import Json

Seen = dict[int, tuple[Any, Json]]
"""Items and what the history has of them, by the items' identities. Both live as long as this does."""

_DEEPEST = 4


def items_are_form(value: Any, form: Json, seen: Seen, is_form: Callable[[Any, Json], bool]) -> bool:
    """Whether the items of one list are those of another.

    is_form: whether an item is.
    """
    if type(value) is not list or type(form) is not list or len(value) != len(form):
        return False
    for item, recorded in zip(value, form, strict=True):
        known = seen.get(id(item))
        if known is not None and known[1] is recorded:
            continue
        if not is_form(item, recorded):
            return False
        if type(recorded) is dict or type(recorded) is list:
            seen[id(item)] = item, recorded
    return True


def parts_are_form(value: Any, form: Json, seen: Seen, is_form: Callable[[Any, Json], bool], depth: int = 0) -> bool:
    """Whether the parts of a value without an annotation are those of what the history has."""
    if type(value) is list:
        return items_are_form(value, form, seen, is_form)
    if type(value) is not dict or depth == _DEEPEST:
        return is_form(value, form)
    if type(form) is not dict or len(value) != len(form):
        return False
    return all(
        name in form and parts_are_form(part, form[name], seen, is_form, depth + 1) for name, part in value.items()
    )

"""Whether a replay calls a step or a child with the arguments that the history holds.

A replay follows the history whatever the arguments are now: the step has run with those that are recorded. But a
workflow that makes others each time, such as Python's own `uuid4()`, does not do what its code seems to say. Tests fail
of it; in production it is a warning, since new code may well give other arguments to what has run.
"""

from __future__ import annotations

from typing import Any

from worldflow.engine.errors import InvalidInputError
from worldflow.engine.history import Json, dump_value
from worldflow.engine.values.signatures import Signature


def other_arguments(signature: Signature, recorded: Json, now: Json) -> list[str]:
    """The names of the arguments that are not what they were.

    Only asked where their JSON is not the same, which says little yet: NaN is not equal to itself, and a set comes in
    another order in another process.
    """
    before, after = _as_object(recorded), _as_object(now)
    names = [name for name in dict.fromkeys([*before, *after]) if not _is_same(before, after, name)]
    if not names:
        return []
    try:
        values_before, values_after = signature.decode(before), signature.decode(after)
        return [name for name in names if name not in before or values_before[name] != values_after.get(name)]
    except (InvalidInputError, KeyError):
        return names


def _as_object(values: Json) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}


def _is_same(before: dict[str, Any], after: dict[str, Any], name: str) -> bool:
    return name in before and name in after and dump_value(before[name]) == dump_value(after[name])

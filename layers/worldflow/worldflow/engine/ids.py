"""The ids and names that users may choose, and the ids of runs that runs start.

Those are generations (`order-1~2`) and children (`order-1~c3`). A stream is kept under `order-1#stream#answer`, and a
limit under `limit#...`, which are no runs' ids.

The ids that users choose have no `~`, so that none of these is ever taken. A run's first generation is the id itself.
"""

from __future__ import annotations

import hashlib
import re

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.texts import is_text

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=@+-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")
_ID = re.compile(r".{1,256}", re.DOTALL)
_ID_BYTES = 256
_GENERATION = re.compile(r"(.*)~(\d+)")
_LONGEST = 200
_STREAM = "#stream#"
_LIMIT = "limit#"
_STARTS = "#starts"

ENTITY = "entity:"
"""The prefix of the names of entities' workflows."""


def check_name(name: str, field: str = "name") -> None:
    """Raises `InvalidInputError` for what is no name of a workflow, a step, a signal, an update or a query."""
    _check(name, _NAME, field, "up to 100 letters, digits and _.:-")


def check_id(id: str | None, field: str) -> None:
    """Raises `InvalidInputError` for what is no id of a signal, an update or a hook's value."""
    if id is not None:
        _check(id, _ID, field, "1 to 256 bytes of UTF-8")
        if not is_text(id) or len(id.encode()) > _ID_BYTES:
            raise _refusal(id, field, "1 to 256 bytes of UTF-8")


def check_run_id(run_id: str, field: str = "run_id") -> None:
    """Raises `InvalidInputError` for what is no id that users may choose."""
    _check(run_id, _RUN_ID, field, "up to 100 letters, digits and _.:=@+-, starting with a letter or digit")


def _check(text: str, pattern: re.Pattern[str], field: str, rule: str) -> None:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise _refusal(text, field, rule)


def _refusal(text: object, field: str, rule: str) -> InvalidInputError:
    return InvalidInputError(
        f"{text!r} is not a valid {field}: it must be {rule}", [FieldError(field, f"must be {rule}")]
    )


def entity_workflow(name: str) -> str:
    """The name of the workflow of the runs of a class of entities."""
    return f"{ENTITY}{name}"


def is_entity(workflow_name: str) -> bool:
    """Whether runs of a workflow are entities."""
    return workflow_name.startswith(ENTITY)


def check_entity(run_id: str, workflow_name: str) -> None:
    """Raises `InvalidInputError` for a run of an entity whose id is not `<class>@<key>`: no reference reaches it."""
    name = workflow_name.removeprefix(ENTITY)
    if is_entity(workflow_name) and not (run_id.startswith(f"{name}@") and run_id != f"{name}@"):
        raise _refusal(run_id, "run_id", f"{name}@ and a key, as that of an entity")


def generation(run_id: str) -> tuple[str, int]:
    """The id that all generations of a run share, and which of them this is, from 1."""
    match = _GENERATION.fullmatch(run_id)
    return (match[1], int(match[2])) if match else (run_id, 1)


def generation_id(base: str, number: int) -> str:
    """The run id of a generation."""
    return base if number == 1 else f"{base}~{number}"


def next_generation(run_id: str) -> str:
    """The run id of the generation that follows."""
    base, number = generation(run_id)
    return generation_id(base, number + 1)


def child_run_id(run_id: str, child_id: str) -> str:
    """The run id of a child that was given none. Where children of children make it long, a hash stands for them."""
    parent = run_id if len(run_id) <= _LONGEST else f"{run_id[:100]}~{hashlib.sha256(run_id.encode()).hexdigest()[:32]}"
    return f"{parent}~{child_id}"


def stream_key(run_id: str, name: str) -> str:
    """What a stream of a run is kept under: all generations share it."""
    return f"{generation(run_id)[0]}{_STREAM}{name}"


def run_of_stream(key: str) -> str | None:
    """The run whose stream is kept under this key; None where it is a run's own id."""
    run_id, is_stream, _ = key.partition(_STREAM)
    return run_id if is_stream else None


def limit_key(name: str, what: str) -> str:
    """What is kept of a limit is under this key."""
    return f"{_LIMIT}{name}#{what}"


def is_of_limit(key: str) -> bool:
    """Whether a history is that of a limit."""
    return key.startswith(_LIMIT)


def starts_key(run_id: str) -> str:
    """What the starts are kept under that a run gathers before it begins."""
    return f"{run_id}{_STARTS}"


def is_of_run(key: str) -> bool:
    """Whether a history is that of a run, and not of something beside it."""
    return _STREAM not in key and not is_of_limit(key) and not key.endswith(_STARTS)

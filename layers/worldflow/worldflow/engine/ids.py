"""The ids of runs that runs start: generations (`order-1~2`) and children (`order-1~c3`).

The ids that users choose have no `~`, so that none of these is ever taken. A run's first generation is the id itself.
"""

from __future__ import annotations

import hashlib
import re

_GENERATION = re.compile(r"(.*)~(\d+)")
_LONGEST = 200


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

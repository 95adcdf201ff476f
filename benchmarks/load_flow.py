"""The workflow of `load.py`, which copies this file into the layer of workflows.

Each run of a step is noted outside of all that Worldflow keeps, so that one that ran twice is seen.
"""

import os

from worldflow import step, step_info, workflow

NOTES = ""  # written here by load.py


@step
async def count(number: int) -> int:
    info = step_info()
    with open(NOTES, "ab", buffering=0) as notes:  # one write, which the system does not tear
        notes.write(f"{info.run_id} {info.step_id} {info.attempt} {os.getpid()}\n".encode())
    return number + 1


@workflow
async def count_to(steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = await count(number)
    return number

"""The workflows of `vercel_local.py`, apart from it: Vercel imports the module of a workflow anew, in a sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from vercel.workflow import BaseHook, Workflows

flows = Workflows()


@flows.step
async def step(number: int) -> int:
    return number


@flows.workflow
async def sequence(count: int) -> int:
    for number in range(count):
        await step(number)
    return count


@flows.workflow
async def fan_out(count: int) -> int:
    return len(await asyncio.gather(*(step(number) for number in range(count))))


@dataclass
class Go(BaseHook):
    number: int


@flows.workflow
async def resumes(count: int) -> int:
    for number in range(count):
        async with Go.wait(token=f"{count}-{number}") as hook:
            await hook
    return count


WORKFLOWS = {"sequence": sequence, "fan_out": fan_out, "resumes": resumes}

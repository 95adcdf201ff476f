"""A process that goes on with a run: `python -m tests.agents.pydantic_ai.other_process FILE start|VALUE`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Literal

from pydantic_ai import Agent

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Forgetful
from worldflow import create_hook, step, workflow
from worldflow.ai.pydantic import Durable

many = Agent(
    Script([("east", {}), ("west", {})], lambda messages: " and ".join(sorted(returned(messages)))),
    name="many",
    deps_type=frozenset[str],
    output_type=[str, Literal["nothing"]],
    capabilities=[Durable()],
)


@many.tool_plain
async def east() -> str:
    return "east"


@many.tool_plain
async def west() -> str:
    return "west"


@many.tool_plain(defer_loading=True)
async def north() -> str:
    return "north"


@step
async def tell(token: str) -> None:
    print(json.dumps(token))


@workflow
async def go_everywhere() -> str:
    deps = frozenset({"a", "b", "c"})
    first = await many.run("Go", deps=deps)
    with create_hook(str) as hook:
        await tell(hook.token)
        prompt = await hook
    second = await many.run(prompt, deps=deps, message_history=first.all_messages())
    return f"{first.output}; {second.output}"


async def main(path: str, token: str) -> None:
    runs = Forgetful(path)
    if token == "start":
        await runs.start(go_everywhere)
    else:
        await runs.resume(token, "Go on")
        print(json.dumps(await runs.result("run-1")))
    await runs.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

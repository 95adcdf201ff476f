"""Starts the workflow on a deployed stack, and shows what it did: `python -m examples.aws_workflow.run`.

The stack's WORLDFLOW_* variables are in the environment: `make environment STACK=worldflow-dev` prints them.
"""

import asyncio

from examples.aws_workflow.workflow import hello_on_aws
from worldflow.runtime import Orchestrator
from worldflow.worlds import AWSWorld


async def main(run_id: str = "hello-on-aws") -> None:
    world = AWSWorld()
    run = await Orchestrator(world).start_workflow(run_id, hello_on_aws, {"name": "World"})
    print(await run.result())
    print("Status:", (await world.get_run_status(run_id))["status"])
    for event in await world.load_events(run_id):
        print(event.event_type, event.payload)


if __name__ == "__main__":
    asyncio.run(main())

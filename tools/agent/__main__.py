"""An agent on a local AWS, whose answer outlives its reader and the functions that serve it: `make agent`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from rich.console import Console

from tools.agent.deployment import build, deployed
from tools.agent.story import Story, summary
from worldflow.devtools.demo import DemoFailed
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.local_aws.launcher import LocalAwsError
from worldflow.devtools.stack import DeploymentError
from worldflow.terminal import WIDTH_OF_FILES

DIRECTORY = Path(".local-aws/agent")


def main() -> int:
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    model = os.environ.get("MODEL", "")
    began = time.monotonic()
    try:
        if model.startswith("bedrock"):
            raise DemoFailed("the local AWS has no Bedrock. MODEL= takes a model of another provider.")
        console.print("Building the template, with the agents of examples/ among its workflows ...")
        template = build(DIRECTORY / "project", model)
        with LocalAws(DIRECTORY / "aws") as aws:
            console.print(f"A local AWS answers at {aws.endpoint_url}. Deploying to it with sam deploy ...")
            stack = deployed(aws, template, model)
            console.print(f"Ready after {time.monotonic() - began:.0f} s. The API is {stack.outputs['ApiUrl']}\n")
            os.environ.update(aws.env)
            aws.reset_usage()
            Story(stack, console).tell()
            summary(stack, console)
            console.print(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    except (DemoFailed, DeploymentError, LocalAwsError) as error:
        stderr = Console(stderr=True, highlight=False, soft_wrap=True)
        stderr.print(f"The demo failed: {error}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The consoles of what is deployed to a local AWS: a process for each stack, which begins anew when that is updated.

python -m worldflow.devtools.local_aws.consoles STACK PORT    is one of them; it ends with its standard input
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worldflow.devtools.local_aws.launcher import LocalAws, observer
from worldflow.stacks import OUTPUTS

HOST = "127.0.0.1"
PORT = 8080
"""Of the first console, if it is free: that of `python -m worldflow ui`."""

_LOOK_EVERY = 1.0
_CODE = "layers/workflows"
"""Where a project has its workflows."""


@dataclass(slots=True)
class _Console:
    process: subprocess.Popen[bytes]
    port: int
    of: datetime
    """When the stack was deployed that it shows."""


class Consoles:
    """Serves a console for each of Worldflow's stacks. A context manager, which ends them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._running: dict[str, _Console] = {}
        self._cloudformation: Any = aws.observer().client("cloudformation", endpoint_url=aws.endpoint_url)

    def __enter__(self) -> Consoles:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self._stop(name)

    def watch(self) -> None:
        """Looks for stacks until the local AWS dies, which it does not do by itself."""
        while True:
            self._aws.wait(_LOOK_EVERY)
            with suppress(BotoCoreError, ClientError):
                self.look()

    def look(self) -> None:
        """Begins the consoles of stacks that are deployed or updated since the last look, and ends those of others."""
        stacks = self._cloudformation.describe_stacks()["Stacks"]
        names = {stack["StackName"] for stack in stacks if not stack["StackStatus"].startswith("DELETE")}
        for name in self._running.keys() - names:
            self._stop(name)
        for stack in filter(_is_deployed, stacks):
            name, at = stack["StackName"], stack.get("LastUpdatedTime") or stack["CreationTime"]
            if name not in self._running:
                self._running[name] = self._start(name, _free_port(), at)
            elif self._running[name].of != at:
                self._running[name] = self._start(name, self._stop(name), at)

    def _start(self, name: str, port: int, at: datetime) -> _Console:
        path = os.pathsep.join(filter(None, [_CODE, os.environ.get("PYTHONPATH")]))
        with (self._aws.directory / "console.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, name, str(port)],
                env={**os.environ, **self._aws.env, "PYTHONPATH": path},
                stdin=subprocess.PIPE,  # never written to: its end is how the console learns that we are gone
                stderr=log,
                start_new_session=True,
            )
        return _Console(process, port, at)

    def _stop(self, name: str) -> int:
        """Ends a console, and returns its port."""
        found = self._running.pop(name)
        found.process.kill()
        found.process.wait()
        assert found.process.stdin is not None
        found.process.stdin.close()
        return found.port


def _is_deployed(stack: dict[str, Any]) -> bool:
    """Whether it is one of Worldflow's, and no deployment of it is under way."""
    outputs = {output["OutputKey"] for output in stack.get("Outputs", [])}
    return stack["StackStatus"].endswith("E_COMPLETE") and outputs >= set(OUTPUTS.values())


def _free_port() -> int:
    with suppress(OSError), socket.create_server((HOST, PORT)):
        return PORT
    with socket.create_server((HOST, 0)) as found:
        return int(found.getsockname()[1])


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()

    from worldflow.console.server import server  # which the launcher does not need
    from worldflow.runtime import load_workflows
    from worldflow.settings import Settings
    from worldflow.stacks import read_environment
    from worldflow.worlds import AWSWorld

    load_workflows(["workflows"])
    world = AWSWorld(Settings.from_environment(read_environment(name)), session=observer())
    with closing(socket.create_server((HOST, port))) as listening:
        print(f"The console shows stack {name} at http://{HOST}:{port}", flush=True)
        asyncio.run(server(world).serve([listening]))


def _end_with_the_launcher() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

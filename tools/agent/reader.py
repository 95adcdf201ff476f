"""A reader of a run's stream in a process of its own, which may be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from worldflow.devtools.stack import Stack


class Reader:
    """`python -m worldflow stream RUN NAME --json --after N`. Iterating gives items, and ends when the stream does."""

    def __init__(self, stack: Stack, run_id: str, name: str, after: int = 0) -> None:
        command = [sys.executable, "-m", "worldflow", "stream", run_id, name, "--json", "--after", str(after)]
        self._process = subprocess.Popen(
            command, env={**os.environ, **stack.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout
        for line in self._process.stdout:
            yield json.loads(line)

    def kill(self) -> None:
        """SIGKILL: it has no time to say how far it has read."""
        self._process.kill()
        self._process.wait()

    def problem(self) -> str:
        """Why it ended; empty if all was read."""
        _, errors = self._process.communicate(timeout=10)
        return errors.strip() if self._process.returncode else ""

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

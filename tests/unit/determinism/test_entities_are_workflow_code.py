"""The operations of an entity are replayed as workflows are, and so they are checked."""

from worldflow.determinism import check

SOURCE = """
import time
from worldflow import Entity, entity

@entity
class Account(Entity):
    opened: float = 0

    async def open(self) -> None:
        self.opened = time.time()

@entity(name="other")
class Other(Entity):
    async def look(self) -> None:
        await self._look()

    async def _look(self) -> float:
        return time.monotonic()

class Plain:
    async def look(self) -> float:
        return time.time()
"""


def test_what_cannot_be_replayed_is_found() -> None:
    found = check(SOURCE, "accounts.py").findings
    assert [(finding.line, finding.function) for finding in found] == [(10, "open"), (18, "_look")]


def test_so_is_what_an_interceptor_does_around_workflows() -> None:
    source = """
import time
from worldflow import Interceptor

class Timed(Interceptor):
    async def run_step(self, call, proceed):
        began = time.time()
        return await proceed()

    async def run_workflow(self, call, proceed):
        began = time.time()
        return await proceed()
"""
    found = check(source, "around.py").findings
    assert [(finding.line, finding.function) for finding in found] == [(11, "run_workflow")]

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

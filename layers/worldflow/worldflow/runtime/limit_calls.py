"""The calls of an `Orchestrator` about limits."""

from __future__ import annotations

import asyncio

from worldflow.runtime import limits
from worldflow.runtime.limits import LimitStatus
from worldflow.worlds.base import World


class LimitCalls:
    """Reads and changes limits."""

    _world: World

    async def list_limits(self) -> list[LimitStatus]:
        """All limits, for each of their keys: who holds a place, and who waits in which order."""
        return await asyncio.to_thread(limits.list_limits, self._world)

    async def get_limit(self, name: str, key: str | None = None) -> list[LimitStatus]:
        """A limit, for each of its keys or for one. Raises `LimitNotFoundError`."""
        return await asyncio.to_thread(limits.get_limit, self._world, name, key)

    async def set_limit(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        rate: str | None = None,
        burst: int | None = None,
        key: str | None = None,
        reset: bool = False,
    ) -> list[LimitStatus]:
        """Changes a limit at once and without a deployment, for one key or for all that there are and will be.

        concurrency: 0 lets nothing begin. What is None stays as it is.
        reset: what the code says counts again, but for what is given.
        Raises `InvalidInputError` and `LimitNotFoundError`.
        """
        options = {"concurrency": concurrency, "rate": rate, "burst": burst, "key": key, "reset": reset}
        return await asyncio.to_thread(limits.set_limit, self._world, name, **options)  # type: ignore[arg-type]

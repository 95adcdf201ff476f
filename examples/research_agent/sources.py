"""What the tools ask, as far as the example needs it: figures that depend on nothing but the city, and a seller."""

import asyncio
from zlib import crc32

REPORT = "The report says that two quarters could feed more cafés than they have: the harbour and the university."


class Sources:
    """Answers after `latency` seconds."""

    def __init__(self) -> None:
        self.latency = 0.4
        self.sold: list[str] = []
        """What the seller has been paid for."""

    async def rent(self, city: str) -> str:
        return f"{await self._figure('rent', city, 18, 60)} euros per square metre"

    async def footfall(self, city: str) -> str:
        return f"{await self._figure('footfall', city, 400, 2_000):,} passers-by an hour"

    async def competition(self, city: str) -> str:
        return f"{await self._figure('competition', city, 2, 14)} cafés within five minutes"

    async def weather(self, city: str) -> str:
        return f"{await self._figure('weather', city, 120, 290)} dry days a year"

    async def articles(self, city: str) -> list[str]:
        visitors = await self._figure("articles", city, 2, 12)
        return [f"{city} had {visitors} per cent more visitors", f"Rents in {city} are expected to rise"]

    async def buy(self, report: str) -> str:
        await asyncio.sleep(self.latency)
        self.sold.append(report)
        return REPORT

    async def bought(self, report: str) -> str | None:
        """The report, if it was paid for."""
        await asyncio.sleep(self.latency)
        return REPORT if report in self.sold else None

    async def _figure(self, what: str, city: str, least: int, most: int) -> int:
        await asyncio.sleep(self.latency)
        return least + crc32(f"{what} {city}".encode()) % (most - least)


sources = Sources()

"""The company's systems, as far as the example needs them: they keep what they did in memory."""

import asyncio


class Systems:
    def __init__(self) -> None:
        self.accounts: set[str] = set()
        self.laptops: set[str] = set()
        self.mails: list[tuple[str, str]] = []

    async def open_account(self, person: str) -> str:
        await asyncio.sleep(0)
        self.accounts.add(person)
        return f"{person.lower()}@example.com"

    async def close_account(self, person: str) -> None:
        await asyncio.sleep(0)
        self.accounts.discard(person)

    async def order_laptop(self, person: str) -> None:
        await asyncio.sleep(0)
        self.laptops.add(person)

    async def return_laptop(self, person: str) -> None:
        await asyncio.sleep(0)
        self.laptops.discard(person)

    async def mail_colleague(self, to: str, text: str) -> None:
        await asyncio.sleep(0)
        self.mails.append((to, text))


systems = Systems()

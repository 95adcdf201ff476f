"""The contract of a World stays small."""

from __future__ import annotations

from pathlib import Path

import worldflow
from worldflow.worlds.archives import Archive
from worldflow.worlds.base import World

PACKAGE = Path(worldflow.__file__).parent
WORLDS = PACKAGE / "worlds"

MEMBERS = 24
"""What every World has to implement, with its archive."""

LINES = {"base.py": 210, "items.py": 130, "ledger.py": 150, "schedules.py": 150, "archives.py": 95, "reading.py": 150}
"""How long a file of the contract may be."""


def test_a_world_implements_few_members() -> None:
    members = {*World.__abstractmethods__, *(f"archive.{name}" for name in Archive.__abstractmethods__)}
    assert len(members) <= MEMBERS, sorted(members)


def test_the_contract_can_be_read() -> None:
    lines = {name: len((WORLDS / name).read_text().splitlines()) for name in LINES}
    assert {name: count for name, count in lines.items() if count > LINES[name]} == {}

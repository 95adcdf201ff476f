"""Records the histories of a release: `python -m tests.histories.record 0.4.0`.

To be done once for each release, by its own code. What is recorded is not recorded again; before the release is out,
its folder may be removed and recorded anew.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tests.histories import (  # they add their own to RECIPES
    recipes_0_2_0,  # noqa: F401
    recipes_0_3_0,  # noqa: F401
    recipes_0_4_0,  # noqa: F401
    recipes_0_5_0,  # noqa: F401
)
from tests.histories.recipes import RECIPES, Recipe
from tests.histories.stored import PLACE, StoredHistory, describe
from tests.support.systems import local_system

ROOT = Path(__file__).parents[2]

INLINE_LIMIT = 1_000
"""Bytes: references to large values are in the set, and its files stay small."""


def record(release: str, run_id: str, recipe: Recipe) -> StoredHistory:
    with local_system(":memory:") as system:
        world = system.world
        world.inline_limit = INLINE_LIMIT
        run_id = recipe(system, run_id) or run_id
        payloads = {str(key): bytes(data).decode() for key, data in world._rows("select key, data from payloads")}
        return StoredHistory(describe(release, world.read_run(run_id), world, payloads), world.load_history(run_id))


def _without_places(text: str) -> str:
    """Tracebacks without the folders of this machine."""
    for place in (str(ROOT), sys.prefix, str(Path(sys.executable).resolve().parents[1]), sys.base_prefix):
        text = text.replace(place, "/srv")
    return text


def main(release: str, place: Path = PLACE) -> int:
    folder = place / release
    folder.mkdir(exist_ok=True)
    logging.getLogger("worldflow").setLevel(logging.CRITICAL)
    for name, recipe in RECIPES.items():
        history = record(release, name, recipe)
        path = folder / f"{name}.jsonl"
        if path.exists():
            sys.stdout.write(f"{path} exists, and is left as it is\n")
            continue
        path.write_text(_without_places(history.dump()))
        sys.stdout.write(f"{name}: {history.header.status}, {len(history.events)} events\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

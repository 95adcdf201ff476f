"""Six stores in three regions, one of whose files is broken: `python -m examples.nightly_report.demo`."""

import tempfile
from datetime import date

from examples.nightly_report import storage
from examples.nightly_report.workflow import nightly_report
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

DAY = date(2026, 3, 11)
ROWS = {"east/brno": 6_000, "east/wien": 40_000, "north/bergen": 20_000, "north/oslo": 30_000, "south/turin": 2_000}


def write_sales(place: str) -> None:
    for store, rows in ROWS.items():
        storage.write(f"{place}/{DAY}/{store}.csv", "sku,pieces,price\n" + "TEA,3,4.50\n" * rows)
    storage.write(f"{place}/{DAY}/south/bari.csv", "sku,pieces,price\nTEA,many,4.50\n")


async def demo() -> list[Event]:
    world = LocalWorld()
    with tempfile.TemporaryDirectory() as folder:
        write_sales(f"{folder}/sales")
        async with Worker(world):
            inputs = {"source": f"{folder}/sales", "target": f"{folder}/reports", "day": DAY}
            run = await Orchestrator(world).start_workflow(f"report-{DAY}", nightly_report, inputs)
            report = await run.result()
        print(storage.read(report.address))
        events = await run.events()
    world.close()
    return events


if __name__ == "__main__":
    show(demo)

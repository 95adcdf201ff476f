"""A report on yesterday's sales, every night: fan out over the files of all stores, add up, write one table.

    sales/2026-03-11/north/oslo.csv  ...        a child per region, a step per store
    reports/2026-03-11.csv                      the result

A region is a run of its own, so that a thousand stores are a few short histories and not one long one. At most ten
files of a region are read at a time. A file that cannot be read is reported, and does not stop the report.
"""

import asyncio
import csv
import io
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from pydantic import BaseModel

from examples.nightly_report import storage
from worldflow import FatalError, now, set_status, step, workflow

AT_ONCE = 10


class Sales(BaseModel):
    store: str
    pieces: int = 0
    turnover: Decimal = Decimal(0)


class Region(BaseModel):
    name: str
    stores: list[Sales] = []
    unreadable: dict[str, str] = {}
    """Why, by file."""


class Report(BaseModel):
    address: str
    turnover: Decimal
    unreadable: dict[str, str]


class Unreadable(FatalError):
    """Not retried: the file will not change."""


@step(guarantee="repeatable")
def files_by_region(place: str) -> dict[str, list[str]]:
    regions: dict[str, list[str]] = defaultdict(list)
    for address in storage.names(place):
        regions[address.split("/")[-2]].append(address)
    return regions


@step(guarantee="repeatable", timeout="5m")
def add_up_store(address: str) -> Sales:
    sales = Sales(store=address.rpartition("/")[2].removesuffix(".csv"))
    for number, row in enumerate(csv.DictReader(io.StringIO(storage.read(address))), start=2):
        try:
            sales.pieces += int(row["pieces"])
            sales.turnover += int(row["pieces"]) * Decimal(row["price"])
        except (ArithmeticError, KeyError, TypeError, ValueError):
            raise Unreadable(f"line {number} is not a sale") from None
    return sales


@step
def write_report(address: str, regions: list[Region]) -> None:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["region", "store", "pieces", "turnover"])
    rows.writerows([region.name, s.store, s.pieces, s.turnover] for region in regions for s in region.stores)
    storage.write(address, table.getvalue())


@workflow
async def regional_sales(name: str, files: list[str]) -> Region:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def add_up(address: str) -> Sales:
        async with at_once:
            return await add_up_store(address)

    outcomes = await asyncio.gather(*(add_up(address) for address in files), return_exceptions=True)
    region = Region(name=name)
    for address, outcome in zip(files, outcomes, strict=True):
        if isinstance(outcome, Sales):
            region.stores.append(outcome)
        else:
            region.unreadable[address] = str(outcome)
    return region


@workflow(timeout="6h")
async def nightly_report(source: str, target: str, day: date | None = None) -> Report:
    day = day or now().date() - timedelta(days=1)
    regions = await files_by_region(f"{source}/{day}")
    set_status(f"reading {sum(map(len, regions.values()))} files of {len(regions)} regions")
    totals = await asyncio.gather(*(regional_sales(name, files) for name, files in regions.items()))
    address = f"{target}/{day}.csv"
    await write_report(address, totals)
    turnover = sum((sales.turnover for region in totals for sales in region.stores), Decimal(0))
    unreadable = {file: why for region in totals for file, why in region.unreadable.items()}
    set_status(f"{turnover} in all, {len(unreadable)} files not readable")
    return Report(address=address, turnover=turnover, unreadable=unreadable)

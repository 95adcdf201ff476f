"""After the tables were restored to a point in time: makes all that is beside the histories agree with them again.

The two tables are not restored to one consistent point, what was in the queues is of a future that is gone, and
EventBridge Scheduler was not restored at all. **The histories are the truth.** A pass reads both tables whole and, run
by run, writes what they say:

    records       one that is ahead of its history, behind it, or missing is made of the history. One without a history
                  begins anew; but a child or a generation that no history asks for is removed, since the run that asks
                  for it will do so again
    archives      a run that was archived after the point in time has its whole history in the archive, and gets it back
    steps         open attempts with an outcome in the ledger get it, and are not run again. An attempt of a step
                  that runs at most once and may have begun is taken for begun. Each open run gets a `RunRestored`, by
                  which the steps that it schedules from now on are looked up in the ledger before they run
    hooks         a token is held by the run whose history holds it
    generations   the newest is the newest that there is
    schedules     those of records are armed again. Others are deleted, as are timers that no history waits for: they
                  would fire into timers of the same ids, which the runs start again, and too early
    requests      idempotency records are forgotten: what they say was accepted may be lost, and may be sent again
    messages      each open run is poked, and sends again what it waits for

Each of these is harmless to repeat: who dies midway begins again. What runs do meanwhile is not undone, since each
write has the condition that what it replaces is what was read before the history was; but the pass is meant for a time
at which nothing runs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from worldflow.runtime.reconcile.followers import Followers
from worldflow.runtime.reconcile.histories import Histories
from worldflow.runtime.reconcile.table import Table
from worldflow.runtime.reconcile.unbegun import Unbegun
from worldflow.runtime.reconcile.waiting import Waiting
from worldflow.runtime.reconcile.work import Found, ReconcileReport, Tell, Work
from worldflow.worlds.aws.restored import AWSRestored
from worldflow.worlds.base import World

__all__ = ["ReconcileReport", "reconcile"]

CONCURRENCY = 8
"""Runs that are reconciled side by side."""


def reconcile(
    world: World,
    tables: AWSRestored,
    *,
    dry_run: bool = False,
    concurrency: int = CONCURRENCY,
    tell: Tell = lambda what, id: None,
) -> ReconcileReport:
    """Makes records, hooks, schedules, timers and messages agree with the histories. Harmless to repeat.

    dry_run: nothing is written or sent; the report says what would be.
    concurrency: how many runs are dealt with side by side.
    tell: called for each thing that is done, from several threads.
    """
    with ThreadPoolExecutor(concurrency, "worldflow-reconcile") as threads:
        work = Work(world, tables, threads, 4 * concurrency, dry_run, tell)
        _pass(work)
        return work.report


def _pass(work: Work) -> None:
    if not work.dry_run:
        work.tables.begin(work.began)
    found, histories = Found(), Histories(work)
    for run in work.side_by_side(histories.reconcile, work.tables.histories()):
        found.note(run)
    table, followers = Table(work, found), Followers(work, found)
    table.read()
    Unbegun(work, found, histories).reconcile(table.lost)
    followers.begin()
    followers.end_again()
    followers.number(table.generations)
    table.hold_hooks()
    waiting = Waiting(work, found, table.schedule_ids)
    waiting.arm()
    waiting.wake()

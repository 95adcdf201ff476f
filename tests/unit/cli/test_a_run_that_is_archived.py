from contextlib import closing
from datetime import timedelta

from tests.support import clock
from tests.unit.cli.conftest import Cli
from worldflow.runtime.archive import archive_old_runs
from worldflow.worlds.local.world import LocalWorld


def test_it_is_shown_and_not_listed_and_goes_on_no_more(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    before, events = cli.json("status", "one"), cli("events", "one")
    with closing(LocalWorld(cli.file, clock=lambda: clock.now() + timedelta(days=3))) as world:
        assert archive_old_runs(world, older_than=timedelta(days=1)).archived == 1

    after = cli.json("status", "one")
    assert after.pop("archived_at")
    assert after == before
    assert "archived  " in cli("status", "one")
    assert cli("events", "one") == events
    assert cli.json("list")["runs"] == []
    assert cli.fails("retry", "one") == (
        "Error: run 'one' is archived and cannot be retried: fork it as a new run instead\n"
    )

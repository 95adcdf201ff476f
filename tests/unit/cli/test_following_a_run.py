import json
import threading
import time
from contextlib import closing

import pytest

from tests.unit.cli.conftest import Cli, Worked
from worldflow.runtime import sending
from worldflow.worlds.local.world import LocalWorld


def test_what_happens_is_shown_until_the_run_ends(cli: Cli, worked: Worked):
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    answering = threading.Timer(0.3, send_answer, [cli])
    with worked():
        answering.start()
        began = time.monotonic()
        lines = cli("events", "one", "--follow", "--json").splitlines()
        assert time.monotonic() - began > 0.25
        answering.join()
    assert [json.loads(line)["event_type"] for line in lines] == ["RunStarted", "SignalReceived", "RunCompleted"]


@pytest.mark.parametrize("after", ["0", "2", "99"])
def test_a_run_that_has_ended_is_shown_and_not_waited_for(cli: Cli, after: str):
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    shown = cli("events", "one", "--follow", "--after", after)
    assert len(shown.splitlines()) == max(4 - int(after), 0)


def test_a_run_that_has_not_begun_is_waited_for(cli: Cli, worked: Worked):
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    with worked():
        assert "run completed" in cli("events", "one", "--follow")


def test_a_run_that_does_not_exist_is_not_waited_for(cli: Cli):
    cli("start", "ask")
    assert cli.fails("events", "two", "--follow") == f"Error: there is no run 'two' in {cli.file}\n"


def send_answer(cli: Cli) -> None:
    with closing(LocalWorld(cli.file)) as world:
        sending.signal(world, "one", "answer", 42)

"""`stream`: a run's streams, and what is written to one, until it ends."""

from __future__ import annotations

import json
import threading
from contextlib import closing

from tests.unit.cli.conftest import Cli, Worked
from worldflow.runtime import sending
from worldflow.worlds.local.world import LocalWorld


def test_the_streams_of_a_run_are_listed(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["Hel", "lo"]}')
    cli("start", "ask", "--run-id", "two")
    cli.settle()
    assert cli("stream", "one") == "notes\nwords\n"
    assert cli.json("stream", "one") == {"streams": ["notes", "words"]}
    result = cli.run("stream", "two")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No streams.\n")


def test_the_status_of_a_run_names_its_streams(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["Hel", "lo"]}')
    cli("start", "tomorrow", "--run-id", "two", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    assert cli("status", "one").endswith("\nstreams: notes, words\n")
    assert "streams" not in cli("status", "two")


def test_text_is_shown_as_it_is_written(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["Hel", "lo,\\nyou", ":smile: [bold]"]}')
    cli.settle()
    assert cli("stream", "one", "words") == "Hello,\nyou:smile: [bold]\n"
    assert cli("stream", "one", "words", "--after", "2") == ":smile: [bold]\n"
    assert cli("stream", "one", "words", "--after", "3") == ""


def test_a_stream_that_an_ended_run_does_not_have_is_named_with_those_that_it_has(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["Hel", "lo"]}')
    cli.settle()
    result = cli.run("stream", "one", "wrods")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "one has ended without a stream 'wrods'; it has: notes, words\n"
    assert cli.run("stream", "one", "words", "--after", "9").stderr == ""


def test_text_cannot_move_the_cursor(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["\\u001b[2J\\u0007\\r\\u009b1mred"]}')
    cli.settle()
    assert cli("stream", "one", "words") == " [2J   1mred\n"


def test_other_values_have_a_line_each(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["a"]}')
    cli.settle()
    assert cli("stream", "one", "notes") == '{"said": "\\n"}\n[1, null]\n'


def test_a_reset_is_shown(cli: Cli):
    cli("start", "recite", "--run-id", "one", "--input", '{"words": ["Hel", "lo"], "fail_after": 1}')
    cli.settle()
    assert cli("stream", "one", "words") == (
        "Hel\n-- attempt 2 of s1 starts again: what it wrote from offset 1 on is void --\nHello\n"
    )
    items = [json.loads(line) for line in cli("stream", "one", "words", "--json").splitlines()]
    assert items[1] == {"offset": 2, "reset": True, "step_id": "s1", "attempt": 2, "since": 1}
    assert items[2] == {"offset": 3, "value": "Hel", "step_id": "s1", "attempt": 2}


def test_it_is_followed_until_it_ends(cli: Cli, worked: Worked):
    cli("start", "ask", "--run-id", "one")
    cli.settle()

    def answer() -> None:
        with closing(LocalWorld(cli.file)) as world:
            sending.signal(world, "one", "answer", 42)

    answering = threading.Timer(0.3, answer)
    with worked():
        answering.start()
        assert cli("stream", "one", "nothing") == ""
        answering.join()


def test_a_run_that_does_not_exist_has_none(cli: Cli):
    cli("start", "ask")
    for name in ((), ("words",)):
        assert cli.fails("stream", "two", *name) == f"Error: there is no run 'two' in {cli.file}\n"


def test_a_name_that_no_stream_has(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    assert "is not a valid" in cli.fails("stream", "one", "a b")

import re
from datetime import datetime

import pytest

from tests.support import clock
from tests.unit.cli.conftest import FLOWS, Cli

WEEKDAYS = "cron(0 8 ? * MON-FRI *)"
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"


@pytest.mark.time_of_day
def test_creating_one_says_when_it_is_due(cli: Cli):
    assert re.fullmatch(rf"report is due at {MOMENT}\.\n", cli("schedule", "create", "report", "ask", WEEKDAYS))
    again = cli.run("schedule", "create", "report", "ask", WEEKDAYS)
    assert (again.exit_code, again.stderr) == (0, "Schedule report already exists.\n")
    assert cli.json("schedule", "create", "report", "ask", WEEKDAYS)["created"] is False


def test_all_that_one_can_have(cli: Cli):
    options = ["--input", '{"question": "Done?"}', "--timezone", "Europe/Berlin", "--overlap", "allow", "--paused"]
    created = cli.json("schedule", "create", "report", "ask", "rate(2 days)", *options)
    assert {name: created[name] for name in ("workflow", "input", "schedule", "timezone", "overlap", "paused")} == {
        "workflow": "ask",
        "input": {"question": "Done?"},
        "schedule": "rate(2 days)",
        "timezone": "Europe/Berlin",
        "overlap": "allow",
        "paused": True,
    }
    assert created["created"] is True


def test_the_list(cli: Cli):
    for name, more in (("b", ["--paused"]), ("a", ["--timezone", "Asia/Tokyo"])):
        cli("schedule", "create", name, "ask", WEEKDAYS, *more)
    result = cli.run("schedule", "list")
    header, first, second = (re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines())
    assert header == ["schedule", "workflow", "when", "due", "last run"]
    assert first[:3] == ["a", "ask", f"{WEEKDAYS} Asia/Tokyo"]
    assert re.fullmatch(MOMENT, first[3])
    assert second == ["b", "ask", WEEKDAYS, "paused"]


@pytest.mark.time_of_day
def test_the_list_page_after_page(cli: Cli):
    for name in ("a", "b", "c"):
        cli("schedule", "create", name, "ask", WEEKDAYS)
    first = cli.run("schedule", "list", "--limit", "2")
    assert first.stderr == "More schedules: --cursor 'b'\n"
    page = cli.json("schedule", "list", "--cursor", "b")
    assert ([one["schedule_id"] for one in page["schedules"]], page["cursor"]) == (["c"], None)
    assert datetime.fromisoformat(page["schedules"][0]["next_due"]) > clock.now()


def test_no_schedules(cli: Cli):
    cli("start", "ask", "--run-id", "a")
    assert cli.run("schedule", "list").stderr == "No schedules.\n"


def test_pausing_and_going_on(cli: Cli):
    cli("schedule", "create", "report", "ask", WEEKDAYS)
    assert cli("schedule", "pause", "report") == "report is paused.\n"
    assert "next_due" not in cli.json("schedule", "pause", "report")
    assert re.fullmatch(rf"report is due at {MOMENT}\.\n", cli("schedule", "resume", "report"))
    assert cli.json("schedule", "resume", "report")["paused"] is False


def test_deleting_one(cli: Cli):
    cli("schedule", "create", "report", "ask", WEEKDAYS)
    assert cli("schedule", "delete", "report") == "Deleted report.\n"
    cli("schedule", "create", "report", "ask", WEEKDAYS)
    assert cli.json("schedule", "delete", "report") == {"schedule_id": "report"}


@pytest.mark.parametrize("command", ["pause", "resume", "delete"])
def test_one_that_is_not_there_is_an_error(cli: Cli, command: str):
    cli("start", "ask", "--run-id", "a")
    assert cli.fails("schedule", command, "report") == "Error: there is no schedule 'report'\n"


def test_what_is_no_schedule_is_an_error_in_a_line(cli: Cli):
    error = cli.fails("schedule", "create", "report", "ask", "0 8 * * *")
    assert error.startswith("Error: '0 8 * * *' is not a valid schedule: ")
    assert error.count("\n") == 1


def test_the_input_is_checked_where_the_code_is_known(cli: Cli):
    created = cli.json(
        "schedule", "create", "report", "tomorrow", WEEKDAYS, "-w", FLOWS, "--input", '{"day": "2026-01-01"}'
    )
    assert created["input"] == {"day": "2026-01-01"}
    error = cli.fails("schedule", "create", "other", "tomorrow", WEEKDAYS, "-w", FLOWS, "--input", '{"day": "soon"}')
    assert "day:" in error
    assert "JSON object" in cli.fails("schedule", "create", "other", "ask", WEEKDAYS, "--input", "[]", code=2)


def test_what_is_no_schedule_is_said_once(cli: Cli):
    error = cli.fails("schedule", "create", "daily", "ask", "every day")
    assert error.startswith("Error: 'every day' is not a valid schedule: must be like cron(")
    assert error.count("rate(5 minutes)") == 1


def test_triggering_one_prints_the_id_of_its_run(cli: Cli):
    cli("schedule", "create", "report", "ask", WEEKDAYS, "--input", '{"question": "Done?"}')
    assert cli("schedule", "trigger", "report", "--id", "now") == "report:trigger-now\n"
    again = cli.json("schedule", "trigger", "report", "--id", "now")
    assert again == {"schedule_id": "report", "run_id": "report:trigger-now", "created": False}
    assert cli.run("schedule", "trigger", "report", "--id", "now").stderr == "Run report:trigger-now already exists.\n"


def test_backfilling_one_prints_the_ids_of_new_runs(cli: Cli):
    cli("schedule", "create", "report", "ask", "cron(0 8 * * ? *)", "--input", '{"question": "Done?"}')
    span = ["2025-03-01T09:00+01:00", "2025-03-03T08:00:00Z"]
    done = cli.run("schedule", "backfill", "report", *span)
    assert done.stdout == "report:20250301T080000Z\nreport:20250302T080000Z\n"
    assert done.stderr == "2 moments: 2 runs started, 0 already existed.\n"
    assert [run["created"] for run in cli.json("schedule", "backfill", "report", *span)["runs"]] == [False, False]


@pytest.mark.time_of_day
def test_changing_one(cli: Cli):
    options = ["--overlap", "buffer_one", "--catch-up", "1h", "--remaining", "3"]
    cli("schedule", "create", "report", "ask", WEEKDAYS, *options)
    again = cli("schedule", "update", "report", "--overlap", "cancel_other", "--catch-up", "0s", "--jitter", "5m")
    assert re.fullmatch(rf"report is due at {MOMENT}\.\n", again)
    shown = cli.json("schedule", "show", "report")
    assert (shown["overlap"], shown["jitter"], shown["remaining"]) == ("cancel_other", 300, 3)
    assert "catch_up" not in shown
    assert "remaining" not in cli.json("schedule", "update", "report", "--remaining", "unlimited")
    assert cli.json("schedule", "update", "report", "--schedule", "rate(2 days)", "--remaining", "1")["remaining"] == 1
    assert "must be a number, or unlimited" in cli.run("schedule", "update", "report", "--remaining", "-1").stderr


def test_showing_one(cli: Cli):
    cli("schedule", "create", "report", "ask", WEEKDAYS, "--remaining", "3", "--catch-up", "90m")
    lines = dict(re.split(r"\s{2,}", line.strip()) for line in cli("schedule", "show", "report").splitlines())
    assert (lines["schedule id"], lines["overlap"], lines["remaining"]) == ("report", "skip", "3")
    assert lines["catch up"] == "1h30m"

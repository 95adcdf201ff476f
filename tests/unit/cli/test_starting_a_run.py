import json
import re

import pytest

from tests.unit.cli.conftest import FLOWS, Cli


def test_the_id_is_what_start_prints(cli: Cli):
    run_id = cli("start", "ask").strip()
    assert cli.json("status", run_id)["workflow_name"] == "ask"


def test_an_id_says_what_runs_and_is_nobody_elses(cli: Cli):
    ids = {cli("start", "ask").strip() for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch(r"ask-\d{8}-\d{6}-[0-9a-f]{6}", run_id) for run_id in ids)


def test_an_id_of_ones_own(cli: Cli):
    assert cli("start", "ask", "--run-id", "mine") == "mine\n"


def test_a_run_that_exists_is_shown_and_not_started_again(cli: Cli):
    first = cli.json("start", "ask", "--run-id", "one", "--input", '{"question": "Red?"}')
    second = cli.json("start", "ask", "--run-id", "one", "--input", '{"question": "Blue?"}')
    assert (first["created"], second["created"]) == (True, False)
    assert second["input"] == {"question": "Red?"}
    assert len(cli.json("list")["runs"]) == 1


def test_people_are_told_that_a_run_exists(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    assert cli.run("start", "ask", "--run-id", "one").stderr == "Run one already exists (running).\n"


def test_a_run_starts_later(cli: Cli):
    later = cli.json("start", "ask", "--delay", "1h30m")
    then = cli.json("start", "ask", "--start-at", "2099-12-24T18:00+01:00")
    cli.settle()
    assert cli.json("status", later["run_id"])["status"] == "pending"
    assert then["start_at"] == "2099-12-24T17:00:00Z"
    assert "begins" in cli("status", later["run_id"])


def test_json_is_the_record_of_the_run(cli: Cli):
    started = cli.json("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    assert started.pop("created") is True
    assert started == cli.json("status", "one")
    assert started["status"] == "pending"
    assert started["input"] == {"day": "2026-02-28"}


def test_without_its_code_a_workflow_is_started_by_name(cli: Cli):
    assert cli.json("start", "elsewhere", "--input", '{"anything": 1}')["input"] == {"anything": 1}


def test_with_its_code_the_input_is_read_by_the_annotations(cli: Cli):
    started = cli.json("start", "tomorrow", "-w", FLOWS, "--input", json.dumps({"day": "2026-02-28"}))
    assert started["input"] == {"day": "2026-02-28"}


@pytest.mark.parametrize(
    ("option", "workflow", "outcome"),
    [
        ("--if-running=return_existing", "ask", "one"),
        ("--if-running=fail", "ask", "Error: run 'one' already exists (running)"),
        ("--if-running=terminate_existing", "ask", "one~2"),
        ("--reuse=allow", "ask", "one"),
        ("--reuse=allow", "doomed", "one~2"),
        ("--reuse=failed_only", "doomed", "one~2"),
        ("--reuse=failed_only", "door", "Error: run 'one' already exists (completed)"),
        ("--reuse=reject", "doomed", "Error: run 'one' already exists (failed)"),
    ],
)
def test_what_a_run_of_that_id_means(cli: Cli, option: str, workflow: str, outcome: str):
    cli("start", workflow, "--run-id", "one")
    if workflow == "door":
        cli.settle()
        cli("hook", "front-door", "--value", '"x"')
    cli.settle()
    result = cli.run("start", workflow, "--run-id", "one", option)
    told = result.stderr if outcome.startswith("Error") else result.stdout
    assert told == f"{outcome}\n"


def test_it_carries_headers(cli: Cli):
    made = cli.json("start", "ask", "--header", "tenant=acme=1", "--header", "user=")
    assert cli.json("status", made["run_id"])["headers"] == {"tenant": "acme=1", "user": ""}
    assert "'tenant' is not NAME=VALUE" in cli.fails("start", "ask", "--header", "tenant", code=2)

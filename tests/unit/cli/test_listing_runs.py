import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from worldflow.worlds import LocalWorld
from worldflow.worlds.records import RunPage


@pytest.fixture
def three(cli: Cli) -> Cli:
    for run_id, workflow in (("a", "ask"), ("b", "doomed"), ("c", "ask")):
        cli("start", workflow, "--run-id", run_id)
    cli.settle()
    return cli


def ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [run["run_id"] for run in page["runs"]]


def test_the_newest_come_first(three: Cli):
    page = three.json("list")
    assert ids(page) == ["c", "b", "a"]
    assert page["cursor"] is None


def test_by_status_and_by_workflow(three: Cli):
    assert ids(three.json("list", "--status", "failed")) == ["b"]
    assert ids(three.json("list", "--workflow", "ask")) == ["c", "a"]
    assert ids(three.json("list", "--workflow", "ask", "--status", "failed")) == []


def test_page_after_page(three: Cli):
    first = three.json("list", "--limit", "2")
    second = three.json("list", "--limit", "2", "--cursor", first["cursor"])
    assert ids(first) + ids(second) == ["c", "b", "a"]


def test_what_people_see(three: Cli):
    result = three.run("list", "--limit", "1")
    header, line = result.stdout.splitlines()
    assert header.split() == ["run", "workflow", "status", "started", "took"]
    assert line.split()[:3] == ["c", "ask", "running"]
    assert result.stderr.startswith("More runs: --cursor ")


def test_no_runs(three: Cli):
    assert three.run("list", "--status", "blocked").stderr == "No runs.\n"


@pytest.fixture
def baskets(cli: Cli) -> Cli:
    for customer in ("Ada", "Bob", "true", "3"):
        cli("start", "basket", "--run-id", customer, "--input", json.dumps({"customer": customer}))
    cli("start", "ask", "--run-id", "other")
    cli.settle()
    return cli


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (["customer=Ada"], ["Ada"]),
        (['customer="Ada"'], ["Ada"]),
        (["items=0"], ["3", "true", "Bob", "Ada"]),
        (["items=0", "customer=Bob"], ["Bob"]),
        (["items=1"], []),
        (['items="0"'], []),
        (["customer=true"], []),
        (['customer="true"'], ["true"]),
        (['customer="3"'], ["3"]),
        (["customer="], []),
        (["customer=[1]"], []),
        (["nothing=Ada"], []),
    ],
)
def test_by_attributes(baskets: Cli, attributes: list[str], expected: list[str]):
    options = [part for attribute in attributes for part in ("--attribute", attribute)]
    assert ids(baskets.json("list", *options)) == expected


def test_what_workflows_say_of_themselves_is_shown(baskets: Cli):
    baskets.run("update", "Ada", "add", "--args", '["hat"]', "--timeout", "0s")
    baskets.settle()
    lines = [line.rstrip() for line in baskets("list").splitlines()]
    assert lines[1].endswith(" UTC")
    assert lines[-1].endswith('1 in the basket  customer="Ada" items=1')
    assert lines[-2].endswith('customer="Bob" items=0')


def test_pages_that_hold_few_runs_or_none_are_read_until_there_are_enough(three: Cli, monkeypatch: pytest.MonkeyPatch):
    list_runs = LocalWorld.list_runs

    def finds_one_at_a_time(world: LocalWorld, *, limit: int, cursor: str | None, **filters: Any) -> RunPage:
        page = list_runs(world, limit=1, cursor=cursor and cursor.removesuffix("!"), **filters)
        if cursor and not cursor.endswith("!"):
            return RunPage([], f"{cursor}!")
        return page

    monkeypatch.setattr(LocalWorld, "list_runs", finds_one_at_a_time)
    page = three.json("list", "--limit", "2")
    assert ids(page) == ["c", "b"]
    assert page["cursor"]
    assert ids(three.json("list", "--workflow", "ask")) == ["c", "a"]
    assert three.run("list", "--limit", "2").stderr.startswith("More runs: --cursor ")


def test_by_conditions_in_one_line(baskets: Cli):
    assert ids(baskets.json("list", "--where", "workflow=basket attribute.customer=Ada started>1h")) == ["Ada"]
    assert ids(baskets.json("list", "--where", "started<1h")) == []
    assert ids(baskets.json("list", "--where", "id=A*", "--status", "running")) == ["Ada"]
    wrong = baskets.fails("list", "--where", "status=lost", code=2)
    assert "position 1: 'lost' is not a status" in " ".join(wrong.split())
    assert "status is also an option" in baskets.fails("list", "--where", "status=failed", "--status", "failed", code=2)


def test_how_many_match(three: Cli):
    assert [line.split() for line in three("list", "--count").splitlines()] == [
        ["running", "2"], ["failed", "1"], ["total", "3"],
    ]  # fmt: skip
    assert three.json("list", "--count", "--where", "workflow=ask status=running") == {
        "counts": {"running": 2},
        "total": 2,
    }

import pytest

from tests.unit.cli.conftest import Cli


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
    assert result.stderr.startswith("There are more: --cursor ")


def test_no_runs(three: Cli):
    assert three.run("list", "--status", "blocked").stderr == "No runs.\n"

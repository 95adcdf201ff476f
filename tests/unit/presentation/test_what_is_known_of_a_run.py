import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Failure, Parent
from worldflow.presentation import run_details, run_table
from worldflow.worlds.records import Fork, RunRecord

AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(**fields: Any) -> RunRecord:
    return RunRecord(**{"run_id": "r1", "workflow_name": "order", "created_at": AT, "updated_at": AT, **fields})


def shown(table: RenderableType) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=140).print(table)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "workflow order"),
        ({"version": 1}, "workflow order"),
        ({"version": 2}, "workflow order, version 2"),
        ({"version": 0}, "workflow order, dynamic"),
        ({"headers": {"tenant": "acme"}}, 'headers tenant="acme"'),
        ({"status": "running"}, "status running"),
        ({"status_text": "packing\n3 of 5"}, "packing 3 of 5"),
        ({"attributes": {"customer": "c1", "total": 3}}, 'attributes customer="c1" total=3'),
        ({"parent": Parent(run_id="p", child_id="c2")}, "started by p, as its child c2"),
        ({"fork_of": Fork(run_id="p", after=7)}, "continues from p, after event 7"),
        ({"fork_of": Fork(run_id="p")}, "continues from p"),
        ({"next_run_id": "r1~2"}, "continued as r1~2"),
        ({"input": {"n": "é"}}, 'input {"n": "é"}'),
        ({"status": "completed", "result": [1]}, "result [1]"),
        ({"error": Failure(type="a:Boom", message="no\nhope")}, "error Boom: no hope"),
        ({"reason": "too\x1b[31mlate"}, "reason too [31mlate"),
        ({"blocked_reason": "no such workflow"}, "blocked by no such workflow"),
    ],
)
def test_each_on_its_line(fields: dict[str, Any], line: str):
    assert line in shown(run_details(record(**fields)))


def test_what_is_wrong_with_an_input_is_told_apart():
    wrong = InvalidInputError("it does not fit", [FieldError("a", "no such parameter"), FieldError("b", "required")])
    error = Failure(type="worldflow:InvalidInputError", message=str(wrong))
    line = "error InvalidInputError: it does not fit; a: no such parameter; b: required"
    assert line in shown(run_details(record(error=error)))


def test_what_is_not_known_has_no_line():
    words = [line.split()[0] for line in shown(run_details(record()))]
    assert words == ["run", "workflow", "status", "started", "input"]


def test_a_run_in_a_list_is_a_line():
    ended = record(status="completed", ended_at=AT + timedelta(seconds=3))
    header, line = shown(run_table([ended]))
    assert header == "run workflow status started took"
    assert line.startswith("r1 order completed 2026")
    assert line.endswith(" 3 s")


def test_a_list_says_what_workflows_say_of_themselves():
    silent, speaking = record(), record(run_id="r2", status_text="[red]packing", attributes={"total": 3})
    _, first, second = shown(run_table([silent, speaking]))
    assert first.endswith("UTC")
    assert second.endswith("[red]packing total=3")

"""A stack is given tables that were restored from a backup: its functions use them, and it lets go of its own."""

import json
from typing import Any

import pytest

from tests.infrastructure.stack import TEMPLATE, RefusedParameters, Stack

RESTORED = {"RestoredEventsTable": "events-restored", "RestoredRunsTable": "runs-restored"}
ARN = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/"


@pytest.fixture(scope="module")
def restored() -> Stack:
    return Stack(**RESTORED)


def test_the_stack_lets_go_of_its_own_tables_and_keeps_them(restored: Stack) -> None:
    assert not {"EventsTable", "RunsTable"} & restored.resources.keys()
    assert {TEMPLATE["Resources"][table]["DeletionPolicy"] for table in ("EventsTable", "RunsTable")} == {
        "RetainExceptOnCreate"
    }


def test_nothing_refers_to_what_is_not_there(restored: Stack) -> None:
    text = json.dumps(restored.resources)

    assert '"EventsTable"' not in text and '"RunsTable"' not in text
    assert "${EventsTable" not in text and "${RunsTable" not in text


def test_every_function_uses_the_restored_tables(restored: Stack) -> None:
    for function in restored.all("Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["WORLDFLOW_EVENTS_TABLE"] == "events-restored"
        assert variables["WORLDFLOW_RUNS_TABLE"] == "runs-restored"


def test_every_role_has_the_rights_on_them_that_it_had_on_the_stacks_own(restored: Stack) -> None:
    own = Stack()

    def renamed(node: Any) -> Any:
        match node:
            case {"Fn::GetAtt": ["EventsTable" | "RunsTable" as table, "Arn"]}:
                return {"Fn::Sub": f"{ARN}${{Restored{table}}}"}
            case {"Fn::Sub": str(text)}:
                return {"Fn::Sub": text.replace("${RunsTable.Arn}", f"{ARN}${{RestoredRunsTable}}")}
            case dict():
                return {key: renamed(value) for key, value in node.items()}
            case list():
                return [renamed(value) for value in node]
        return node

    roles = {id: role.get("Policies") for id, role in own.all("IAM::Role").items()}
    assert {id: role.get("Policies") for id, role in restored.all("IAM::Role").items()} == renamed(roles)
    assert "table/${RestoredEventsTable}" in json.dumps(renamed(roles))


@pytest.mark.parametrize("table", RESTORED)
def test_one_table_without_the_other_is_refused(table: str) -> None:
    with pytest.raises(RefusedParameters, match="set together"):
        Stack(**{table: RESTORED[table]})

import pytest

from tests.support.assistant import Assistant
from tests.support.systems import LocalSystem, start
from tests.unit.cli import flows
from worldflow import record_usage, step, workflow


@step
def ask_a_model_for_assistants() -> None:
    record_usage("large", input_tokens=1_000_000, output_tokens=100_000)


@workflow
async def asks_a_model_for_assistants() -> None:
    await ask_a_model_for_assistants()


def test_runs_are_listed_newest_first_and_page_by_page(local: LocalSystem, reader: Assistant) -> None:
    for number in range(3):
        start(local, f"basket-{number}", flows.basket, customer="Eve")
    start(local, "judged-1", flows.judged)

    first = reader.call("list_runs", workflow="basket", attributes={"customer": "Eve"}, limit=2)
    rest = reader.call("list_runs", workflow="basket", cursor=first["cursor"])

    assert [run["run_id"] for run in first["runs"]] == ["basket-2", "basket-1"]
    assert [run["run_id"] for run in rest["runs"]] == ["basket-0"]
    assert rest["cursor"] is None
    assert reader.call("list_runs", status="completed")["runs"] == []


def test_a_run_says_what_it_waits_for(local: LocalSystem, reader: Assistant) -> None:
    start(local, "judged-1", flows.judged)
    start(local, "door-1", flows.door)

    signal, hook = (reader.call("get_run", run_id=run_id) for run_id in ("judged-1", "door-1"))

    assert [(wait["kind"], wait["name"]) for wait in signal["waits_for"]] == [("signal", "verdict")]
    assert [(wait["kind"], wait["name"]) for wait in hook["waits_for"]] == [("hook", "h1")]
    assert signal["run"]["status"] == "running"


def test_a_run_that_was_retried_names_the_one_that_follows(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "doomed-1", flows.doomed)

    assistant.call("retry_run", run_id="doomed-1")

    assert assistant.call("get_run", run_id="doomed-1")["followed_by"] == "doomed-1~2"


def test_a_history_is_read_page_by_page(local: LocalSystem, reader: Assistant) -> None:
    start(local, "doomed-1", flows.doomed)

    first = reader.call("read_history", run_id="doomed-1", limit=3)
    rest = reader.call("read_history", run_id="doomed-1", after=first["next_after"])

    kinds = [event["event_type"] for event in first["events"] + rest["events"]]
    assert kinds == ["RunStarted", "StepScheduled", "StepFailed", "RunFailed"]
    assert (first["next_after"], rest["next_after"]) == (3, None)
    assert first["events"][2]["summary"].startswith("+")
    assert "step give_up (s1) failed, attempt 1" in first["events"][2]["summary"]
    assert first["events"][2]["payload"]["error"]["type"] == "FatalError"


def test_what_a_workflow_publishes(local: LocalSystem, reader: Assistant) -> None:
    start(local, "basket-1", flows.basket)

    assert reader.call("query_run", run_id="basket-1", name="items")["value"] == []
    assert "published: broken, items" in reader.fails("query_run", run_id="basket-1", name="itmes")


def test_what_a_run_costs(local: LocalSystem, reader: Assistant) -> None:
    start(local, "doomed-1", flows.doomed)

    cost = reader.call("get_cost", run_id="doomed-1")

    assert cost["requests"]["dynamodb.PutItem"] == 5
    assert 0 < cost["dollars"] < cost["dollars_unbatched"]
    assert "Step Functions, Standard" in cost["elsewhere"]


def test_what_the_tokens_of_a_run_cost(local: LocalSystem, reader: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFLOW_TOKEN_PRICES", '{"large": {"input": 3, "output": 15}}')
    start(local, "asking-1", asks_a_model_for_assistants)

    (usage,) = reader.call("get_cost", run_id="asking-1")["usage"]

    assert usage == {"model": "large", "input_tokens": 1_000_000, "output_tokens": 100_000, "dollars": 4.5}


def test_a_mistake_is_answered_with_what_would_be_right(local: LocalSystem, reader: Assistant) -> None:
    start(local, "doomed-1", flows.doomed)

    assert "there is no run 'x'; list_runs shows the runs" in reader.fails("get_run", run_id="x")
    assert "one of input, error" in reader.fails("read_value", run_id="doomed-1", field="result")
    assert "has no event 9" in reader.fails("read_value", run_id="doomed-1", field="input", seq=9)
    assert "greater than or equal to 1" in reader.fails("list_runs", limit=0)

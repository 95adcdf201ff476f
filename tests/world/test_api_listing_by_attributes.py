"""GET /runs?attribute.name=value: the runs whose workflows have set these attributes."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, start
from worldflow import set_attributes, set_status, wait_for_signal, workflow


@pytest.fixture(autouse=True)
def orders(aws: AWSSystem) -> None:
    @workflow
    async def order(customer: str, total: int | float | str, paid: bool = False) -> None:
        set_attributes(customer=customer, total=total, paid=paid)
        set_status(f"for {customer}")
        await wait_for_signal("end")

    start(aws, "a", order, customer="c1", total=3)
    start(aws, "b", order, customer="c1", total=4.5, paid=True)
    start(aws, "c", order, customer="3", total=3)
    start(aws, "d", order, customer="ünï & co", total="3")


def found(api: Api, *query: tuple[str, str]) -> list[str]:
    answer = api.get("/runs", *query)
    assert answer.status == 200, answer
    return sorted(run["run_id"] for run in answer.body["runs"])


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ([("customer", "c1")], ["a", "b"]),
        ([("customer", '"c1"')], ["a", "b"]),
        ([("total", "3")], ["a", "c"]),
        ([("total", '"3"')], ["d"]),
        ([("customer", '"3"')], ["c"]),
        ([("customer", "3")], []),
        ([("total", "4.5")], ["b"]),
        ([("paid", "true")], ["b"]),
        ([("customer", "c1"), ("paid", "false")], ["a"]),
        ([("customer", "ünï & co")], ["d"]),
        ([("customer", "c2")], []),
        ([("other", "c1")], []),
        ([("customer", "[" * 5_000)], []),
        ([("customer", "9" * 5_000)], []),
        ([("customer", "NaN")], []),
        ([("customer", "")], []),
    ],
    ids=str,
)
def test_runs_are_found_by_what_they_say_of_themselves(api: Api, query: list[tuple[str, str]], runs: list[str]) -> None:
    assert found(api, *((f"attribute.{name}", value) for name, value in query)) == runs


def test_with_all_else_that_a_list_can_be_asked_for(api: Api) -> None:
    attribute = ("attribute.customer", "c1")
    assert found(api, attribute, ("workflow", "order"), ("status", "running")) == ["a", "b"]
    assert found(api, attribute, ("status", "completed")) == []

    first = api.get("/runs", attribute, ("limit", "1")).body
    second = api.get("/runs", attribute, ("limit", "1"), ("cursor", first["cursor"])).body
    assert [run["run_id"] for page in (first, second) for run in page["runs"]] == ["b", "a"]
    assert second["cursor"] is None


def test_a_list_and_a_record_show_them(api: Api) -> None:
    (listed,) = api.get("/runs", ("attribute.paid", "true")).body["runs"]
    record = api.get("/runs/b").body

    for shown in (listed, record):
        assert shown["attributes"] == {"customer": "c1", "total": 4.5, "paid": True}
        assert shown["status_text"] == "for c1"


@pytest.mark.parametrize("names", [[""], [f"a{n}" for n in range(11)]], ids=["no name", "eleven"])
def test_what_does_not_fit_is_refused(api: Api, names: list[str]) -> None:
    answer = api.get("/runs", *((f"attribute.{name}", "1") for name in names))

    assert (answer.status, answer.fields) == (422, ["attribute"])


def test_a_list_by_times_ids_and_texts(api: Api) -> None:
    begun = {run["run_id"]: run["created_at"] for run in api.get("/runs").body["runs"]}

    assert found(api, ("started_after", begun["b"]), ("started_before", begun["d"])) == ["b", "c"]
    assert found(api, ("ended_after", begun["a"])) == found(api, ("ended_before", begun["a"])) == []
    assert found(api, ("id_prefix", "c")) == ["c"]
    assert found(api, ("status_text", "for c1"), ("workflow", "order")) == ["a", "b"]
    assert found(api, ("parent", "a")) == []
    assert api.get("/runs", ("started_after", "2026-01-15T12:00:00")).fields == ["query.started_after"]

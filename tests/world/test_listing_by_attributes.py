"""The list of runs, narrowed down by what runs say of themselves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worldflow.worlds import RunRecord, World

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def store(world: World, *attributes: dict[str, Any], **fields: Any) -> None:
    for number, of_run in enumerate(attributes):
        world.create_run(
            RunRecord(
                **{
                    "run_id": f"r{number}",
                    "workflow_name": "orders" if number % 2 else "mails",
                    "created_at": NOON + timedelta(seconds=number),
                    "updated_at": NOON,
                    "attributes": of_run,
                    **fields,
                }
            )
        )


def found(world: World, **filters: Any) -> list[str]:
    ids: list[str] = []
    cursor = None
    while True:
        page = world.list_runs(cursor=cursor, **filters)
        ids += [record.run_id for record in page.runs]
        cursor = page.cursor
        if cursor is None:
            return ids


def test_all_that_are_given_must_hold(world: World) -> None:
    store(world, {"customer": "c1", "total": 3}, {"customer": "c1", "total": 4}, {"customer": "c2", "total": 3}, {})

    assert found(world, attributes={"customer": "c1"}) == ["r1", "r0"]
    assert found(world, attributes={"customer": "c1", "total": 3}) == ["r0"]
    assert found(world, attributes={"customer": "c3"}) == []
    assert found(world, attributes={"colour": "c1"}) == []
    assert found(world, attributes={}) == ["r3", "r2", "r1", "r0"]


@pytest.mark.parametrize("value", ["1", 1, 1.0, True, "true", "", 0, 0.0, False, "None", -1, 2**53, 1.5, 'q"q', "é'\\"])
def test_a_value_is_found_by_its_like_and_by_no_other(world: World, value: Any) -> None:
    others = ["1", 1, 1.0, True, "true", "", 0, 0.0, False, "None", -1, 2**53, 1.5, 'q"q', "é'\\"]
    store(world, *({"x": other} for other in others))

    (run_id,) = found(world, attributes={"x": value})
    same = others[int(run_id[1:])]
    assert (same, type(same)) == (value, type(value))


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a.b",
        "a'b",
        "$",
        "a[0]",
        "run_id",
        "shard",
        "#a0",
        ":a0",
        "select",
        'a"b',
        '"',
        "a\\b",
        "\\",
        "é\t\n",
        "😀",
    ],
)
def test_names_of_all_kinds(world: World, name: str) -> None:
    store(world, {name: 1}, {"other": 1}, {name: 2})

    assert found(world, attributes={name: 1}) == ["r0"]


def test_a_name_that_is_not_ascii(world: World) -> None:
    store(world, {"größe": 1}, {"other": 1})

    assert found(world, attributes={"größe": 1}) == ["r0"]


def test_with_a_status_a_workflow_and_pages(world: World) -> None:
    store(world, *({"even": number % 4 == 0} for number in range(40)), status="failed")
    store(world, {"even": True}, status="failed")  # exists already: nothing changes

    expected = [f"r{number}" for number in reversed(range(0, 40, 4))]
    for limit in (1, 3, 10, 50):
        filters = {"attributes": {"even": True}, "limit": limit}
        assert found(world, **filters) == expected
        assert found(world, status="failed", **filters) == expected
        assert found(world, workflow="mails", status="failed", **filters) == expected
        assert found(world, workflow="orders", **filters) == []
        assert found(world, status="completed", **filters) == []


def test_a_page_is_full_though_few_of_many_fit(world: World) -> None:
    store(world, *({"rare": number % 10 == 0} for number in range(60)))
    page = world.list_runs(attributes={"rare": True}, limit=4)

    assert [record.run_id for record in page.runs] == ["r50", "r40", "r30", "r20"]
    assert page.cursor
    rest = world.list_runs(attributes={"rare": True}, limit=4, cursor=page.cursor)
    assert [record.run_id for record in rest.runs] == ["r10", "r0"]
    assert rest.cursor is None


def test_what_an_update_says_is_what_is_found(world: World) -> None:
    store(world, {"stage": "begun"})
    record = world.get_run("r0")
    assert record
    world.update_run(record.model_copy(update={"seq": 3, "attributes": {"stage": "done"}, "status_text": "ready"}))

    assert found(world, attributes={"stage": "begun"}) == []
    (listed,) = world.list_runs(attributes={"stage": "done"}).runs
    assert (listed.attributes, listed.status_text) == ({"stage": "done"}, "ready")


def test_a_listed_record_has_its_attributes_as_they_are(world: World) -> None:
    attributes = {"text": "é", "whole": 3, "real": 1.0, "yes": True, "no": False}
    store(world, attributes)

    (listed,) = world.list_runs().runs
    assert listed.attributes == attributes
    assert [type(value) for value in listed.attributes.values()] == [str, int, float, bool, bool]

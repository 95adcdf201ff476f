"""Fields of models: those that were never set, and those whose alias is the name of another."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import on_update, step, wait_for_signal, workflow
from worldflow.engine.history import Replied, RunStarted
from worldflow.engine.values.serialization import Codec


class Change(BaseModel):
    name: str | None = None
    email: str | None = None
    active: bool | None = None
    tags: list[str] = Field(default_factory=list)
    kind: Literal["change"] = "change"


class Removal(BaseModel):
    kind: Literal["removal"] = "removal"
    reason: str | None = None


class Node(BaseModel):
    change: Change | None = None
    nodes: list["Node"] = []


class Item(BaseModel):
    name: str = Field(alias="id")
    id: str = Field(alias="number")


class Swapped(BaseModel):
    a: int | None = Field(alias="b", default=None)
    b: int | None = Field(alias="a", default=None)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    user: str = Field(default="", validation_alias=AliasChoices("customer", "name"))


VALUES: list[tuple[Any, Any]] = [
    (Change, Change(name="Ada")),
    (Change, Change(email=None, active=True)),
    (Change | None, Change(tags=["a"])),
    (list[Change], [Change(name="Ada"), Change()]),
    (dict[str, Change], {"a": Change(name=None)}),
    (tuple[int, Change], (1, Change(name="Ada"))),
    (Change | int, Change(name="Ada", kind="change")),
    (Annotated[Change | Removal, Field(discriminator="kind")], Removal(kind="removal", reason=None)),
    (Node, Node(nodes=[Node(change=Change(name="Ada"))])),
    (Item, Item(id="bolt", number="7")),
    (list[Item], [Item(id="bolt", number="7")]),
    (Item | None, Item(id="bolt", number="7")),
    (Swapped, Swapped(a=1)),
    (Open, Open(name="Ada", other=1)),
]


def test_a_default_that_a_deployment_changes_does_not_change_what_was_recorded():
    def release(default: str) -> Any:
        class Money(BaseModel):
            amount: int
            currency: str = Field(default=default)
            note: str | None = None

        return Money

    first, second = release("EUR"), release("USD")
    form = Codec(first, "value").encode(first(amount=1))
    assert form == {"amount": 1, "currency": "EUR"}
    assert Codec(second, "value").decode(form).currency == "EUR"


@pytest.mark.parametrize(("annotation", "value"), VALUES)
def test_what_was_set_and_what_not_is_kept(annotation: Any, value: Any):
    codec = Codec(annotation, "value")
    read = codec.decode(codec.encode(value))
    assert read == value
    assert sets_of(read) == sets_of(value)


def sets_of(value: Any) -> Any:
    """The names of the fields that were set, all the way down."""
    if isinstance(value, BaseModel):
        return value.model_fields_set, sets_of(vars(value))
    if isinstance(value, dict):
        return {key: sets_of(part) for key, part in value.items()}
    return [sets_of(part) for part in value] if isinstance(value, (list, tuple)) else None


def test_a_field_that_was_changed_in_place_is_written():
    change = Change()
    change.tags.append("a")
    codec = Codec(Change, "value")
    assert codec.encode(change) == {"tags": ["a"]}
    assert codec.decode({"tags": ["a"]}) == change


def test_a_default_that_is_made_anew_each_time_is_written():
    made = iter(range(9))

    class Numbered(BaseModel):
        number: int = Field(default_factory=lambda: next(made))

    numbered = Numbered()
    assert Codec(Numbered, "value").encode(numbered) == {"number": 0}


def test_where_anything_goes_all_fields_are_written():
    assert Codec(Any, "value").encode(Removal()) == {"kind": "removal", "reason": None}
    assert Codec(dict[str, Any], "value").encode({"a": Removal()}) == {"a": {"kind": "removal", "reason": None}}


def test_what_earlier_versions_wrote_has_all_fields_and_is_the_form_of_the_value():
    codec = Codec(Removal, "value")
    assert codec.is_form(Removal(), {"kind": "removal", "reason": None})
    assert codec.is_form(Removal(), {})
    assert not codec.is_form(Removal(), {"reason": "x"})


def test_a_step_that_is_given_a_change_knows_what_to_change(drive: Drive):
    @step
    async def patch(change: Change) -> Change: ...

    @workflow
    async def patching(change: Change) -> dict[str, Any]:
        return (await patch(change)).model_dump(exclude_unset=True)

    run = drive(patching, Change(name="Ada"))
    given = patch.signature.decode(run.input_of("s1"))["change"]
    assert given.model_fields_set == {"name"}
    run.complete(patch, given)
    assert run.result() == {"name": "Ada"}


@pytest.mark.parametrize(
    ("annotation", "json", "value"),
    [
        (Item, {"id": "bolt", "number": "7"}, Item(id="bolt", number="7")),
        (Item, {"name": "bolt", "id": "7"}, Item(id="bolt", number="7")),
        (Swapped, {"a": 1}, Swapped(a=1)),
        (list[Open], [{"customer": "Ada"}], [Open(name="Ada")]),
        (list[Open], [{"user": "Ada"}], [Open(name="Ada")]),
    ],
)
def test_people_write_names_or_aliases(annotation: Any, json: Any, value: Any):
    assert Codec(annotation, "value").parse(json) == value
    assert Codec(annotation, "value").validate(json) == value


def test_the_input_of_a_run_that_was_started_by_name_has_aliases(drive: Drive):
    """The code was not where it was started, so that it stands in the history as it was sent."""

    @workflow
    async def pick(item: Item) -> str:
        return item.name

    run = drive(pick, Item(id="bolt", number="7"))
    assert run.result() == "bolt"
    for given in ({"id": "bolt", "number": "7"}, {"name": "bolt", "id": "7"}):
        assert pick.signature.decode({"item": given})["item"].name == "bolt"
    assert RunStarted(input={"item": given}).input["item"] == given


def test_fields_that_the_code_has_no_more_are_no_aliases():
    assert Codec(Item, "value").decode({"name": "bolt", "id": "7", "colour": "red"}).name == "bolt"


def test_a_field_may_be_renamed_with_its_old_name_for_an_alias():
    class Renamed(BaseModel):
        customer: str = Field(alias="user")
        user: str | None = Field(default=None, alias="login")

    assert Codec(Renamed, "value").decode({"user": "Ada"}).customer == "Ada"
    with pytest.raises(ValidationError):
        Codec(Renamed, "value").decode({})


def test_signals_and_updates_are_written_by_people(drive: Drive):
    @workflow
    async def waiting() -> list[str]:
        @on_update("pick")
        def pick(item: Item) -> str:
            return item.name

        item = await wait_for_signal("item", Item)
        return [item.name, await work()]

    run = drive(waiting)
    run.update("pick", {"id": "nut", "number": "8"})
    replied = [event.result for event in run.history if isinstance(event, Replied)]
    assert replied == ["nut"]
    run.signal("item", {"id": "bolt", "number": "7"})
    run.complete("s1", "!")
    assert run.result() == ["bolt", "!"]

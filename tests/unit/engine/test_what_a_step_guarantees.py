"""`@step(guarantee=...)`, and the deprecated options that it replaces."""

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import ConfigurationError, step, workflow
from worldflow.engine.history import StepScheduled, dump_events

REPLACED: list[tuple[dict[str, bool], str]] = [
    ({"at_most_once": True}, "at_most_once"),
    ({"pure": True}, "pure"),
    ({"idempotent": False}, "repeatable"),
    ({"pure": True, "idempotent": False}, "pure"),
    ({"at_most_once": True, "pure": False, "idempotent": True}, "at_most_once"),
    ({"at_most_once": False}, "at_least_once"),
    ({"idempotent": True}, "at_least_once"),
]


def guaranteed(**options: Any) -> Any:
    @step(**options)
    async def guaranteed_work() -> str: ...

    return guaranteed_work


def history(drive: Drive, work: Any) -> Any:
    @workflow
    async def guaranteed_flow() -> str:
        return await work()

    run = drive(guaranteed_flow)
    run.fail(work, OSError("away"), retryable=True)
    if not run.ended:
        run.complete(work, "done")
    return dump_events(run.history)


@pytest.mark.parametrize(
    ("guarantee", "recorded"),
    [
        (None, {}),
        ("at_least_once", {}),
        ("at_most_once", {"at_most_once": True}),
        ("repeatable", {"ledger": False}),
        ("pure", {"pure": True, "ledger": False}),
    ],
)
def test_what_is_recorded(drive: Drive, guarantee: str | None, recorded: dict[str, bool]):
    work = guaranteed(guarantee=guarantee) if guarantee else guaranteed()

    @workflow
    async def guaranteed_once() -> str:
        return await work()

    (decision,) = drive(guaranteed_once).decisions
    assert isinstance(decision, StepScheduled)
    fields = ("at_most_once", "pure", "ledger", "inline")
    assert {name: value for name in fields if (value := getattr(decision, name)) is not None} == recorded


@pytest.mark.parametrize("inline", [None, True])
@pytest.mark.parametrize(("old", "guarantee"), REPLACED, ids=str)
def test_a_deprecated_option_means_its_guarantee(
    drive: Drive, old: dict[str, bool], guarantee: str, inline: bool | None
):
    with pytest.warns(DeprecationWarning):
        deprecated = guaranteed(inline=inline, **old)
    assert history(drive, deprecated) == history(drive, guaranteed(inline=inline, guarantee=guarantee))


@pytest.mark.parametrize(("old", "guarantee"), REPLACED, ids=str)
def test_a_deprecated_option_names_its_replacement(old: dict[str, bool], guarantee: str):
    given = ", ".join(f"{name}={value}" for name, value in old.items())
    with pytest.warns(DeprecationWarning) as warned:
        guaranteed(**old)
    (warning,) = warned
    assert str(warning.message) == (
        f'@step({given}) is deprecated and will be removed in the next release: write @step(guarantee="{guarantee}")'
    )


def test_the_warning_is_at_the_line_of_the_decorator():
    def work() -> None: ...

    with pytest.warns(DeprecationWarning) as warned:
        here = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]

        @step(pure=True)
        def decorated_work() -> None: ...

        step(work, name="called_work", pure=True)  # type: ignore[call-overload]
    assert [(Path(warning.filename), warning.lineno) for warning in warned] == [
        (Path(__file__), here),
        (Path(__file__), here + 3),
    ]


def test_a_guarantee_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guaranteed(guarantee="pure", inline=True)


@pytest.mark.parametrize("value", ["exactly_once", "", None, True, ["pure"]])
def test_no_other_guarantee(value: object):
    with pytest.raises(ConfigurationError) as raised:
        guaranteed(guarantee=value)
    assert str(raised.value) == (
        f"@step(guarantee=...) takes 'at_least_once', 'at_most_once', 'repeatable' or 'pure', not {value!r}"
    )


@pytest.mark.parametrize("old", [{"at_most_once": True}, {"pure": False}, {"idempotent": False}], ids=str)
def test_a_guarantee_and_a_deprecated_option(old: dict[str, bool]):
    ((name, value),) = old.items()
    with pytest.raises(ConfigurationError) as raised:
        guaranteed(guarantee="pure", **old)
    assert str(raised.value) == (
        f"@step(guarantee='pure', {name}={value}): guarantee takes the place of {name}. Leave out {name}={value}"
    )


@pytest.mark.parametrize(
    ("other", "guarantee"), [({"pure": True}, "pure"), ({"idempotent": False}, "repeatable")], ids=str
)
def test_deprecated_options_that_contradict_each_other(other: dict[str, bool], guarantee: str):
    with pytest.raises(ConfigurationError, match=f'Write guarantee="at_most_once", or guarantee="{guarantee}"'):
        guaranteed(at_most_once=True, **other)

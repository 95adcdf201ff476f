from datetime import UTC, datetime, timedelta

import pytest

from worldflow.engine.traceparent import (
    TraceContext,
    attempt_context,
    parent_of,
    run_context,
    turn_context,
    valid,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_run_that_is_started_with_a_traceparent_belongs_to_its_trace():
    run = run_context("one", AT, CALLER)
    assert run.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert str(parent_of(run, CALLER)) == CALLER
    assert run.span_id != "b7ad6b7169203331"


def test_a_run_without_one_begins_a_trace():
    run = run_context("one", AT, None)
    assert parent_of(run, None) is None
    assert run_context("one", AT, str(run)) == run
    assert parent_of(run, str(run)) is None


def test_whether_a_trace_is_sampled_goes_on():
    assert not run_context("one", AT, CALLER[:-1] + "0").is_sampled
    assert run_context("one", AT, CALLER[:-2] + "03").is_sampled


def test_runs_of_one_id_at_other_times_have_other_traces():
    later = run_context("one", AT + timedelta(microseconds=1), None)
    assert later.trace_id != run_context("one", AT, None).trace_id
    assert later.span_id != run_context("one", AT, None).span_id


def test_ids_are_the_same_each_time_and_for_nothing_else():
    run = run_context("one", AT, None)
    spans = [
        run,
        attempt_context(run, "s1", 1),
        attempt_context(run, "s1", 2),
        attempt_context(run, "s11", 1),
        turn_context(run, 1),
        turn_context(run, 2),
    ]
    assert len({span.span_id for span in spans}) == len(spans)
    assert {span.trace_id for span in spans} == {run.trace_id}
    assert attempt_context(run_context("one", AT, None), "s1", 2) == spans[2]


def test_a_time_in_another_zone_is_the_same_time():
    assert run_context("one", AT, None) == run_context("one", datetime.fromisoformat("2026-01-01T02:00+02:00"), None)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        CALLER.upper(),
        CALLER[:-1],
        CALLER + "-more",
        "ff" + CALLER[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "\u0660\u0660" + CALLER[2:],
    ],
)
def test_a_header_that_is_none_is_ignored(header: str):
    assert TraceContext.read(header) is None
    assert valid(header) is None


def test_a_header_of_a_later_version_is_read_as_far_as_it_is_known():
    assert valid("01" + CALLER[2:] + "-more") == CALLER
    assert valid(f" {CALLER} ") == CALLER

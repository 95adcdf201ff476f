"""Who is granted a place at a limit, and when: by what the limit's history says, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worldflow.engine.history.events import dump_events, load_events
from worldflow.engine.history.limit_state import RECENT, Asker, LimitState
from worldflow.engine.history.limits import Declared, LimitRow, Rate

START = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """A limit, commit by commit. Each is written and read as a World does."""

    def __init__(self, concurrency: int | None = 1, rate: Rate | None = None) -> None:
        self.state = LimitState()
        self.declared = Declared(concurrency, rate)
        self.now = START
        self.row: LimitRow | None = None

    def ask(self, *askers: Asker | str, ends: Sequence[str] = ()) -> None:
        asks = [asker if isinstance(asker, Asker) else Asker(asker) for asker in askers]
        self._commit(self.state.plan(self.now, ends=ends, asks=asks, declared=self.declared, declared_at=1.0))

    def end(self, *tokens: str) -> None:
        self._commit(self.state.plan(self.now, ends=tokens))

    def change(self, **changed: object) -> None:
        self._commit(self.state.plan(self.now, changed=changed, change=f"change-{self.state.seq}"))

    def _commit(self, row: LimitRow | None) -> None:
        self.row = row
        if row is not None:
            (read,) = load_events(dump_events([row]))  # type: ignore[list-item]
            self.state = self.state.applied(read)  # type: ignore[arg-type]

    @property
    def holders(self) -> list[str]:
        return list(self.state.holders)

    @property
    def waiting(self) -> list[str]:
        return [asker.token for asker in self.state.in_turn()]


def test_no_more_hold_a_place_than_there_are() -> None:
    story = Story(concurrency=2)

    story.ask("a", "b", "c")

    assert (story.holders, story.waiting) == (["a", "b"], ["c"])


def test_a_faster_rate_that_an_operator_sets_counts_for_those_that_have_their_time() -> None:
    story = Story(concurrency=None, rate=Rate(1, 86_400.0))
    story.ask("a", "b", "c")
    story.now += timedelta(seconds=10)

    story.change(rate={"count": 1, "seconds": 5.0, "burst": 1})
    story.ask("d")

    times = {token: holder.at - story.now.timestamp() for token, holder in story.state.holders.items()}
    assert times == {"a": -10, "b": 5, "c": 10, "d": 15}
    story.change(rate={"count": 1, "seconds": 60.0, "burst": 1})
    story.ask("e")
    assert story.state.holders["c"].at - story.now.timestamp() == 10, "what is slower counts for the next"
    assert story.state.holders["e"].at - story.now.timestamp() == 20


def test_a_faster_rate_in_the_code_counts_at_once_where_nobody_has_a_time() -> None:
    story = Story(concurrency=None, rate=Rate(1, 86_400.0))
    story.ask("a")
    story.now += timedelta(seconds=10)
    story.declared = Declared(None, Rate(1, 5.0))
    story.ask("b")

    assert story.state.holders["b"].at - story.now.timestamp() == 5


def test_those_that_have_taken_a_time_only_hold_no_place_and_are_forgotten() -> None:
    story = Story(concurrency=None, rate=Rate(1_000, 1.0))
    story.ask(*(Asker(f"a{number}", reports=False) for number in range(RECENT + 10)))
    story.now += timedelta(seconds=10)
    story.declared = Declared(1)
    story.ask("b", "c")

    assert [holder.asker.token for holder in story.state.places] == ["b"]
    assert len(story.state.holders) == RECENT + 1
    (read,) = load_events(dump_events([story.state.snapshot().recorded(1, START)]))  # type: ignore[list-item]
    assert [one.asker.token for one in LimitState().applied(read).places] == ["b"]  # type: ignore[arg-type]


def test_who_leaves_for_now_may_ask_again_and_who_ends_may_not() -> None:
    story = Story()
    story.ask("a", "b", "c")
    story._commit(story.state.plan(story.now, parks=["b"], ends=["c"]))
    story.ask("b", "c")

    assert story.waiting == ["b"]


def test_the_next_is_granted_a_place_in_the_commit_that_frees_it() -> None:
    story = Story()
    story.ask("a", "b")

    story.end("a")

    assert (story.holders, story.state.seq) == (["b"], 2)


def test_who_asks_again_changes_nothing() -> None:
    story = Story()
    story.ask("a", "b")

    story.ask("a", "b")

    assert story.row is None


def test_who_has_left_is_not_let_in_again() -> None:
    story = Story()
    story.ask("a")
    story.end("a")

    story.ask("a")

    assert story.holders == story.waiting == []


def test_the_lowest_priority_number_goes_first() -> None:
    story = Story()
    story.ask("holder")

    story.ask(Asker("late", 5), Asker("soon", -1), Asker("usual"))

    assert story.waiting == ["soon", "usual", "late"]


def test_values_of_fairness_take_turns() -> None:
    story = Story()
    story.ask("holder")

    story.ask(*(Asker(f"a{n}", 0, "a") for n in range(3)), Asker("b0", 0, "b"), Asker("c0", 0, "c"))

    assert story.waiting == ["a0", "b0", "c0", "a1", "a2"]


def test_one_that_comes_and_goes_does_not_overtake_those_that_wait() -> None:
    story = Story()
    story.ask(Asker("b0", 0, "b"), *(Asker(f"a{n}", 0, "a") for n in range(3)))
    granted = []
    for number in range(4):
        story.ask(Asker(f"b{number + 1}", 0, "b"), ends=story.holders)
        granted += story.holders

    assert granted == ["a0", "b1", "a1", "b2"]


def test_a_rate_gives_each_a_time_of_its_own() -> None:
    story = Story(concurrency=None, rate=Rate(60, 60.0))

    story.ask("a", "b", "c")

    assert [holder.at - START.timestamp() for holder in story.state.holders.values()] == [0, 1, 2]


def test_a_burst_begins_at_once_and_is_earned_again() -> None:
    story = Story(concurrency=None, rate=Rate(60, 60.0, burst=2))
    story.ask("a", "b", "c")
    story.now += timedelta(seconds=10)
    story.ask("d", "e", "f")

    times = [holder.at - START.timestamp() for holder in story.state.holders.values()]
    assert times == [0, 0, 1, 10, 10, 11]


def test_a_clock_that_is_behind_gives_no_time_twice() -> None:
    story = Story(concurrency=None, rate=Rate(60, 60.0))
    story.ask("a")
    story.now -= timedelta(seconds=30)

    story.ask("b")

    assert story.state.holders["b"].at - story.state.holders["a"].at == 1


def test_what_an_operator_sets_counts_at_once_and_over_what_the_code_says() -> None:
    story = Story(concurrency=1)
    story.ask("a", "b", "c", "d")

    story.change(concurrency=3)
    assert story.holders == ["a", "b", "c"]

    story.change(concurrency=1)
    story.end("a")
    story.ask("e", ends=["b"])
    assert (story.holders, story.waiting) == (["c"], ["d", "e"])


def test_the_code_that_was_deployed_last_says_how_many() -> None:
    story = Story(concurrency=1)
    story.ask("a")
    row = story.state.plan(START, asks=[Asker("b")], declared=Declared(9), declared_at=0.5)
    assert row and row.declared is None

    story.ask("b", "c")
    row = story.state.plan(START, asks=[Asker("d")], declared=Declared(9), declared_at=2.0)
    assert row and [token for token, _ in row.grants] == ["b", "c", "d"]


def test_those_that_an_end_made_room_for_are_known_while_they_hold() -> None:
    story = Story()
    story.ask("a", "b")
    story.end("a")
    assert [holder.asker.token for holder in story.state.made_room_for(["a"])] == ["b"]

    story.end("b")
    assert story.state.made_room_for(["a"]) == []


def test_somebody_watches_as_long_as_anybody_waits() -> None:
    story = Story()
    story.ask("a")
    assert story.state.watch is None
    story.ask("b", "c")
    assert story.state.watch == "c"

    story.end("c")

    assert story.state.watch == "b"


def test_the_tokens_that_have_left_are_forgotten_in_the_end() -> None:
    story, tokens = Story(concurrency=None), [f"t{number}" for number in range(RECENT + 2)]
    story.ask(*tokens)
    story.end(*tokens)

    assert len(story.state.ended) == RECENT


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 19), st.integers(-1, 1), st.sampled_from([None, "a", "b"])),
        st.tuples(st.just("end"), st.integers(0, 19)),
        st.tuples(st.just("set"), st.integers(0, 4)),
        st.tuples(st.just("turn back"), st.integers(1, 900)),
    ),
    max_size=30,
)


@given(st.integers(1, 3), MOVES)
def test_whatever_happens_there_are_never_too_many_and_nobody_is_lost(
    concurrency: int, moves: list[tuple[Any, ...]]
) -> None:
    story = Story(concurrency)
    allowed = concurrency
    expected: set[str] = set()
    for kind, *rest in moves:
        before = len(story.holders)
        match kind:
            case "ask":
                token = str(rest[0])
                expected |= {token} if token not in story.state.ended else set()
                story.ask(Asker(token, rest[1], rest[2]))
            case "end":
                expected.discard(str(rest[0]))
                story.end(str(rest[0]))
            case "set":
                allowed = rest[0]
                story.change(concurrency=allowed)
            case "turn back":
                story.now -= timedelta(seconds=rest[0])
        state = story.state
        assert len(state.holders) <= max(allowed, before)
        assert {*state.holders, *state.waiting} == expected
        assert not state.waiting or len(state.holders) >= allowed
        assert not state.waiting or state.watch in state.waiting
        assert sorted(story.waiting) == sorted(state.waiting)
        read = LimitState().applied(state.snapshot().recorded(1, story.now))
        assert (read.holders, read.waiting, read.turns, read.ended) == (
            state.holders,
            state.waiting,
            state.turns,
            state.ended,
        )

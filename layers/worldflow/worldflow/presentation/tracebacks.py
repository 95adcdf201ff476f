"""Where the error of a run came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from worldflow.engine.history import Event, Failure, StepFailed, StepScheduled


def tracebacks(error: Failure, history: Sequence[Event]) -> Iterator[Text]:
    """The traceback of a run's error, and that of the attempt of a step that it goes back to, if it does."""
    if error.traceback:
        yield _titled("traceback", error.traceback)
    names = {event.step_id: event.name for event in history if isinstance(event, StepScheduled)}
    causes = {(failure.type, failure.message) for failure in _all(error)}
    for event in reversed(history):
        if isinstance(event, StepFailed) and (event.error.type, event.error.message) in causes:
            of = f"step {names.get(event.step_id, '')} ({event.step_id}), attempt {event.attempt}"
            yield _titled(f"traceback of {of}", event.error.traceback)
            return


def _all(failure: Failure) -> Iterator[Failure]:
    """A failure, its causes, and the members of a group."""
    yield failure
    for inner in (*([failure.cause] if failure.cause else ()), *failure.members):
        yield from _all(inner)


def _titled(title: str, traceback: str) -> Text:
    text = Text().append(f"{title}\n", style="dim")
    for line in traceback.rstrip().splitlines():
        text.append("".join(character if character.isprintable() else " " for character in line) + "\n")
    return text

"""The cost of data that is too large for a history."""

from __future__ import annotations

from collections.abc import Callable

from worldflow.costs.metering import MeteredWorld
from worldflow.engine import history as h
from worldflow.engine.history import Event, Fact
from worldflow.worlds.histories import as_stored
from worldflow.worlds.payloads import is_encoded, is_in_store


def count_data(world: MeteredWorld, event: Event, say: Callable[[str], None]) -> None:
    """Values that are too large for a history were put into S3, and are read where they are used."""
    values = [getattr(as_stored(event), name) for name in event.data_fields]
    if error := getattr(event, "error", None):
        values.append(error.packed)
    for value in values:
        if is_in_store(value):
            world.access.s3.put_object()
            is_inline = isinstance(event, h.StepScheduled) and event.inline
            if isinstance(event, Fact | h.StreamWritten) or is_inline:
                world.access.s3.get_object()
        if is_in_store(value) and isinstance(event, h.StreamWritten) and event.count > 1:
            say("the sizes of large values that a workflow writes to a stream at once: taken to be the same")
        if is_encoded(value):
            say("requests of the payload codec, such as those to KMS: not counted")
    if isinstance(event, h.ChildStarted) and is_in_store(event.input):
        say("copies of large values for children")

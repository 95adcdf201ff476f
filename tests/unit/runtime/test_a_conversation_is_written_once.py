"""The bytes of a run that asks a model 200 times, each time with all that was said: what `make bench` shows."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.conversation import had, of_dicts, of_models, sizes
from worldflow.engine.workflow.definitions import Workflow


@pytest.mark.parametrize("workflow", [of_dicts, of_models], ids=["dicts", "models"])
def test_a_history_grows_with_the_conversation(workflow: Workflow[..., Any]) -> None:
    written = {}
    for requests in (25, 50, 100, 200):
        world = had(workflow, requests)
        text, written[requests], _ = sizes(world)
        world.close()
        assert written[requests] < 1.3 * text

    assert written[200] - written[100] == pytest.approx(2 * (written[100] - written[50]), rel=0.01)
    assert written[100] - written[50] == pytest.approx(2 * (written[50] - written[25]), rel=0.01)

"""A release whose module does not import blocks the runs that need it, and no other; the next one lets them go on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Project, until
from worldflow.devtools.stack import Stack


def test_a_run_waits_blocked_for_the_good_release(
    project: Project,
    stack: Stack,
    application: dict[str, str],
    start: Callable[..., str],
    ended: Callable[..., dict[str, Any]],
) -> None:
    run_id = start("collect", count=2)
    until(lambda: stack.call("GET", f"/runs/{run_id}/events").body["events"] or None, within=30)
    with project.other_workflows(stack, {"flows.py": "raise RuntimeError('the bad release')"}):
        assert stack.call("POST", f"/runs/{run_id}/signals/number", 7).status == 202
        blocked = ended(run_id)
        assert blocked["status"] == "blocked"
        assert "the bad release" in blocked["blocked_reason"]
        assert stack.call("POST", f"/runs/{run_id}/signals/number", 11).status == 202
        assert ended(start("hello", name="you"))["status"] == "completed"
    command = [sys.executable, "-m", "worldflow", "redrive", "--json"]
    done = subprocess.run(command, env=application, capture_output=True, text=True, check=True, timeout=60)
    # Unless a minute has passed, and it has looked again by itself.
    assert run_id in json.loads(done.stdout)["resumed"] or ended(run_id)["status"] == "completed"
    assert until(lambda: ended(run_id).get("result"), within=30) == [7, 11]

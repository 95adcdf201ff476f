"""A run that is started with curl, as the page of the API shows it.

The local AWS asks for a signature and does not verify it: `tests/docs/test_the_signature_of_curl.py` does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.docs.pages import blocks


def test_a_run_starts_and_a_repeated_request_has_its_answer(
    application: dict[str, str], ended: Callable[..., dict[str, Any]]
) -> None:
    (command,) = (code for code in blocks("docs/guide/api.md", "sh") if "--aws-sigv4" in code)
    command = command.partition("\n")[2]  # the environment is there
    command = command.replace("greet_twice", "hello")

    def curl(environment: dict[str, str]) -> Any:
        session = ["bash", "-c", command]
        done = subprocess.run(session, env=environment, capture_output=True, text=True, check=True, timeout=30)
        return json.loads(done.stdout)

    first = curl(application)
    assert first["run_id"] == "greeting-2"
    assert curl(application) == first
    assert ended("greeting-2")["result"] == ["Hello, Ada!", "Hello, Ada, again!"]

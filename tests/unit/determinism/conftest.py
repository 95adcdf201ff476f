import textwrap
from collections.abc import Callable

import pytest

from worldflow.determinism import Finding, check

Found = Callable[..., list[Finding]]

HEAD = "import asyncio\nfrom worldflow import step, workflow\n"


@pytest.fixture
def found() -> Found:
    """What is found in a workflow of this body, in a module of this text."""

    def find(body: str, module: str = "", parameters: str = "") -> list[Finding]:
        text = textwrap.dedent(body).strip()
        source = f"{HEAD}{textwrap.dedent(module)}\n\n@workflow\nasync def flow({parameters}):\n"
        return list(check(source + textwrap.indent(text, "    ") + "\n", "flows.py").findings)

    return find

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws import deployed
from tests.support.scenarios import Env
from tests.support.systems import aws_system, local_system
from worldflow.serving.worker import Worker
from worldflow.turns.turns import Turns


@pytest.fixture(params=["local-warm", "aws-cold"])
def env(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Env]:
    """A LocalWorld in a warm process, which holds its runs live, and AWS in a cold one, where each turn replays."""
    where, process = request.param.split("-")
    if process == "cold":
        make_cold(monkeypatch)
    if where == "aws":
        with deployed() as stack, aws_system(stack) as system:
            yield Env(system)
    else:
        with local_system(tmp_path / "runs.db") as local:
            yield Env(local)


def make_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes hold no run live."""
    for maker in (Turns.__init__, Worker.__init__):
        assert maker.__kwdefaults__
        monkeypatch.setitem(maker.__kwdefaults__, "live_limit", 0)

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.aws import Stack, deployed
from tests.support.systems import AWSSystem, System, aws_system, local_system
from worldflow.worlds import World


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A deployment on AWS with nothing in it."""
    with deployed() as stack:
        yield stack


@pytest.fixture
def aws(stack: Stack) -> Iterator[AWSSystem]:
    with aws_system(stack) as system:
        yield system


@pytest.fixture(params=["memory", "file", "aws"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Each World in turn, with all that serves it."""
    if request.param == "aws":
        yield request.getfixturevalue("aws")
    else:
        with local_system(":memory:" if request.param == "memory" else tmp_path / "runs.db") as local:
            yield local


@pytest.fixture
def world(system: System) -> World:
    return system.world


@pytest.fixture
def api(aws: AWSSystem) -> Api:
    """The API of the stack that `aws` drives."""
    return Api(aws.stack, aws.world)

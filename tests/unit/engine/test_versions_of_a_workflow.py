"""Versions of one workflow side by side: new runs take the highest, others keep to their own."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import ConfigurationError, WorkflowNotFoundError, workflow, workflow_info
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import find_workflow, oldest_version


@pytest.fixture(autouse=True)
def _versions() -> Iterator[None]:
    for version in (1, 3, 2):

        @workflow(name="versioned", version=version)
        async def versioned() -> int:
            return workflow_info().version

    yield
    del definitions._workflows._versions["versioned"]


def test_without_a_version_it_is_the_highest():
    assert find_workflow("versioned").version == 3


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_run_finds_its_own(version: int):
    assert find_workflow("versioned", version).version == version


def test_a_version_that_is_gone_is_named_with_those_that_are_there():
    with pytest.raises(WorkflowNotFoundError, match=r"versioned \(version 4\)") as told:
        find_workflow("versioned", 4)
    assert "version 3" in str(told.value)


def test_the_runs_of_a_time_before_versions_are_of_the_oldest():
    assert oldest_version("versioned") == 1
    assert oldest_version("nobody's") == 1  # and not the dynamic one


def test_a_workflow_knows_its_version(drive: Drive):
    assert drive(find_workflow("versioned", 2)).result() == 2


def test_two_of_one_version_are_refused():
    namespace: dict[str, Any] = {"workflow": workflow, "__name__": "somewhere"}
    first = "@workflow(name='versioned2', version=2)\nasync def one(): ..."
    second = "@workflow(name='versioned2', version=2)\nasync def two(): ..."
    exec(first, namespace)
    try:
        with pytest.raises(ConfigurationError, match="make one a new version"):
            exec(second, namespace)
        exec(second.replace("version=2", "version=3"), namespace)
    finally:
        del definitions._workflows._versions["versioned2"]


@pytest.mark.parametrize("version", [0, -1, "2", 1.5, True, None])
def test_what_is_no_version(version: Any):
    with pytest.raises(ConfigurationError, match="an integer of at least 1"):
        workflow(version=version)

"""An account that may run too few functions at once is found out before a deployment, and by `make environment`."""

from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.stack import TEMPLATE, Stack
from worldflow.devtools import environment, quota

DEFAULTS = {name: str(parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}


def test_a_new_account_can_reserve_nothing() -> None:
    assert quota.faults(DEFAULTS, 10) == [
        "ApiMaximumConcurrency=50 cannot be reserved: the account's concurrency quota in this region is 10, of which "
        "Lambda keeps 100 unreserved; set 0 in samconfig.toml, or request an increase (Service Quotas, L-B99A9384)"
    ]
    assert quota.faults({**DEFAULTS, "ApiMaximumConcurrency": "0"}, 10) == []
    assert quota.faults(DEFAULTS, 150) == []


def test_reservations_are_summed_up() -> None:
    reserved = {**DEFAULTS, "OrchestratorReservedConcurrency": "26", "StepReservedConcurrency": "10"}
    assert quota.faults(reserved, 186) == []
    assert len(quota.faults(reserved, 185)) == 1


@pytest.mark.parametrize(
    ("reserved", "least"),
    [({"OrchestratorReservedConcurrency": "205"}, 206), ({"StepReservedConcurrency": "199"}, 200)],
)
def test_a_reservation_that_throttles_its_own_messages_is_refused(reserved: dict[str, str], least: int) -> None:
    parameters = {**DEFAULTS, "OrchestratorMaximumConcurrency": "100", "StepMaximumConcurrency": "200", **reserved}
    ((name, value),) = reserved.items()
    assert quota.faults(parameters, None) == [
        f"{name}={value} would throttle received messages: it must be 0 or at least {least}"
    ]
    assert quota.faults({**parameters, name: str(least)}, None) == []


def test_what_a_stack_may_run_is_what_its_event_sources_and_its_api_may(stack: Stack) -> None:
    sources = stack.all("Lambda::EventSourceMapping").values()
    most = sum(source["ScalingConfig"]["MaximumConcurrency"] for source in sources)
    most += stack["SignalFunction"]["ReservedConcurrentExecutions"]

    assert quota.warning(DEFAULTS, most) is None
    warning = quota.warning(DEFAULTS, most - 1)
    assert warning is not None
    assert warning.startswith(
        f"the stack's maximum concurrency is {most}, but the account's quota in this region is {most - 1}: "
    )


class Account:
    """An account whose Lambda may run so many functions, with one stack; in the place of boto3's session."""

    region_name = "eu-west-1"

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency

    def get_credentials(self) -> object:
        return object()

    def client(self, service: str) -> Any:
        return self

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self._concurrency}}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in DEFAULTS.items()]
        return {"Stacks": [{"StackName": StackName, "Parameters": parameters}]}


@pytest.mark.parametrize(("concurrency", "warns"), [(10, True), (1000, False)])
def test_make_environment_warns_beside_what_it_prints(
    concurrency: int, warns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["environment", "worldflow-dev"])
    monkeypatch.setattr(environment.boto3, "Session", lambda **_: Account(concurrency))
    monkeypatch.setattr(environment, "read_environment", lambda name: {"WORLDFLOW_RUNS_TABLE": f"{name}-runs"})

    environment.main()

    printed = capsys.readouterr()
    assert "export WORLDFLOW_RUNS_TABLE=worldflow-dev-runs\n" in printed.out
    assert (
        printed.err.startswith(
            "Warning: the stack's maximum concurrency is 86, but the account's quota in this region is 10"
        )
        is warns
    )
    assert bool(printed.err) is warns


def test_make_deploy_asks_before_it_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["quota", "default"])
    monkeypatch.setattr(quota.boto3, "Session", lambda **_: Account(10))

    with pytest.raises(SystemExit, match=r"^Error: ApiMaximumConcurrency=50 cannot be reserved"):
        quota.main()

    monkeypatch.setattr(quota.boto3, "Session", lambda **_: Account(1000))
    quota.main()
    makefile = Path("worldflow.mk").read_text()
    assert makefile.index("worldflow.devtools.quota $(CONFIG)") < makefile.index("build --config-env $(CONFIG)")

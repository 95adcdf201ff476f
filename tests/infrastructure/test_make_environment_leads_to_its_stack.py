"""The command line of a shell that has evaluated `make environment` uses that stack, whatever it used before."""

import subprocess

import pytest

from worldflow.devtools import environment, quota


def test_a_file_or_another_stack_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["environment", "worldflow-dev"])
    monkeypatch.setattr(environment.boto3, "Session", lambda **_: None)
    monkeypatch.setattr(environment, "read_environment", lambda name: {"WORLDFLOW_RUNS_TABLE": f"{name}-runs"})
    for name in ("of_stack", "quota", "warning"):
        monkeypatch.setattr(quota, name, lambda *_: None)

    environment.main()

    before = {"PATH": "/usr/bin:/bin", "WORLDFLOW_LOCAL": "runs.db", "WORLDFLOW_STACK": "worldflow-prod"}
    script = f"{capsys.readouterr().out}env"
    after = subprocess.run(["bash", "-ec", script], env=before, capture_output=True, text=True, check=True).stdout
    assert [line for line in after.splitlines() if line.startswith("WORLDFLOW_")] == [
        "WORLDFLOW_RUNS_TABLE=worldflow-dev-runs"
    ]

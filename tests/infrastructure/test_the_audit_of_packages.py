"""The audit fails on what is found, and never passes off as well what it could not look up."""

import json
import subprocess
from typing import Any

import pytest

from tools import audit

SOUND = {"name": "pydantic", "version": "2.12.0", "vulns": []}
KNOWN = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [{"id": "CVE-2099-1", "fix_versions": ["1.1"]}, {"id": "CVE-2099-2", "fix_versions": []}],
}
UNKNOWN = {"name": "six", "skip_reason": "Dependency not found on PyPI and could not be audited: six (1.17.0)"}


def run(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> int:
    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout, stderr)

    monkeypatch.setattr("sys.argv", ["audit", "requirements.txt"])
    monkeypatch.setattr(subprocess, "run", answer)
    return audit.main()


def test_a_vulnerability_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, json.dumps({"dependencies": [SOUND, KNOWN, UNKNOWN]})) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "urllib3 1.0: CVE-2099-1, fixed in 1.1",
        "urllib3 1.0: CVE-2099-2, not fixed yet",
        "pip-audit: 2 packages audited, 2 vulnerabilities found.",
    ]


def test_what_could_not_be_looked_up_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, json.dumps({"dependencies": [SOUND, UNKNOWN]})) == 0
    assert "1 packages were NOT audited, since the service does not know them: six" in capsys.readouterr().out


def test_a_service_that_knows_nothing_is_no_good_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, json.dumps({"dependencies": [UNKNOWN]})) == 0
    assert "NO packages audited" in capsys.readouterr().out


def test_a_service_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "", "ERROR: Could not connect to PyPI's vulnerability feed") == 0
    assert "NOTHING was audited" in capsys.readouterr().out

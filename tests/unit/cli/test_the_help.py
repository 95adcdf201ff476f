"""The help groups the commands; the version and a shell's completion are options."""

import pytest
import shellingham

import worldflow
from tests.unit.cli.conftest import Cli


def test_the_version(cli: Cli):
    assert cli("--version") == f"worldflow {worldflow.__version__}\n"


def test_every_command_stands_under_a_heading(cli: Cli):
    text = cli("--help")
    headings = ("Options", "Start runs", "See runs", "Act on runs", "Operate", "Develop")
    assert [heading for heading in headings if f"─ {heading} ─" in text] == list(headings)
    assert "─ Commands ─" not in text


def test_a_shell_is_told_how_to_complete(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    assert "_WORLDFLOW_COMPLETE=complete_bash" in cli("--show-completion", "bash")

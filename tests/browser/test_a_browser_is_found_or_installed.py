"""`tools/chromium.py` with other programs on the PATH than this machine has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tools import chromium

pytestmark = pytest.mark.one_python


class Machine:
    """Only these programs are on its PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(folder / "playwright"))
        self.user(1000)

    def user(self, id: int) -> None:
        self._monkeypatch.setattr(os, "geteuid", lambda: id)

    def program(self, name: str, script: str) -> str:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "{name} $*" >> {self.asked}\n{script}\n')
        path.chmod(0o755)
        return str(path)

    def python(self, script: str) -> None:
        """What runs `playwright install`."""
        self._monkeypatch.setattr(sys, "executable", self.program("python", script))

    def commands(self) -> list[str]:
        return [line for line in self.asked.read_text().splitlines() if "--version" not in line]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_one_that_starts_is_taken(machine: Machine) -> None:
    machine.program("chromium-browser", "exit 1")  # as Ubuntu's, which asks for snap
    chrome = machine.program("google-chrome", "exit 0")
    assert chromium.install() == chrome
    assert machine.commands() == []


def test_root_installs_debians(machine: Machine) -> None:
    machine.user(0)
    path = machine.folder / "chromium"
    machine.program("apt-get", f"[ $1 = update ] || {{ printf '#!/bin/sh\\n' > {path}; chmod +x {path}; }}")
    assert chromium.install() == str(path)
    assert machine.commands() == ["apt-get update", "apt-get install --yes --no-install-recommends chromium"]


def test_others_install_playwrights(machine: Machine) -> None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    machine.python(f"mkdir -p {Path(path).parent}; printf '#!/bin/sh\\n' > {path}; chmod +x {path}")
    machine.program("apt-get", "exit 100")
    assert chromium.install() == path
    assert machine.commands() == ["python -m playwright install chromium"]


def test_without_a_way_to_one_it_says_what_to_install(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.user(0)
    machine.program("apt-get", "echo 'E: no route to deb.debian.org' >&2; exit 100")
    machine.python("echo 'no route to the CDN' >&2; exit 1")
    assert chromium.main() == 1
    shown = capsys.readouterr()
    assert "no route to deb.debian.org" in shown.err and "no route to the CDN" in shown.err
    assert shown.out.endswith(f"{chromium.ADVICE}\n")

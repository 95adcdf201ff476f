"""A browser for tests/browser: `python -m tools.chromium` installs one where there is none.

Chromium or Chrome of this machine is taken as it is. Else root installs Debian's, and anyone else Playwright's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = (
    "No browser: install Chromium so that one of chromium, chromium-browser and google-chrome is on the PATH, or run "
    "`playwright install chromium`."
)


def executable() -> str | None:
    """The path of a browser that starts."""
    for name in NAMES:
        found = shutil.which(name)
        if found and _starts(found):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() and _starts(own) else None


def install() -> str | None:
    """The path of a browser, which is installed if there is none. Returns None if that fails."""
    if found := executable():
        return found
    for commands in (_debian(), [[sys.executable, "-m", "playwright", "install", "chromium"]]):
        if commands:
            print(f"Installing a browser for tests/browser, once: {' '.join(commands[-1])}", flush=True)
            if all(_run(command) for command in commands) and (found := executable()):
                return found
    return None


def _debian() -> list[list[str]]:
    if os.geteuid() or not shutil.which("apt-get"):
        return []
    return [["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]]


def _run(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}", file=sys.stderr)
    return not done.returncode


def _starts(path: str) -> bool:
    """Ubuntu's chromium-browser, for one, may only say that it wants snap."""
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


def main() -> int:
    found = install()
    print(f"The browser of tests/browser: {found}" if found else ADVICE)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())

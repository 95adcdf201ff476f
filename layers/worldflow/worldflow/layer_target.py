"""Refuses to be imported from a Lambda layer that was built for another Python or another processor.

`layers/Makefile` writes what it builds for beside this module. The compiled packages of a layer for another machine,
pydantic's first, fail to import with errors that do not name the cause, so `worldflow` imports this module before
everything else. A package that pip has installed has no such record.
"""

from __future__ import annotations

import os
import sys

RECORD = "layer_target.txt"


def check() -> None:
    """Raises `ImportError` if the layer was built for another machine. Lambda logs its text on one line."""
    try:
        with open(os.path.join(os.path.dirname(__file__), RECORD)) as record:
            built_for = record.read().strip().replace("-", "/")
    except OSError:
        return
    machine = os.uname().machine
    architecture = "arm64" if machine == "aarch64" else machine
    running_on = f"python{sys.version_info.major}.{sys.version_info.minor}/{architecture}"
    if built_for != running_on:
        raise ImportError(
            f"layer built for {built_for}, running on {running_on}: use the same Runtime and Architecture for sam "
            "build and sam deploy (parameter_overrides under global in samconfig.toml), then build and deploy again"
        )


check()

"""Threads that a test has not started: they go on while it runs, and what it replaces is replaced for them too."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from types import ModuleType

import pytest

_sleep = time.sleep


def ministack_service(name: str) -> ModuleType:
    """A module of `ministack.services`, without the threads that some of them start when they are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: None)
        return importlib.import_module(f"ministack.services.{name}")


def replace_sleep(patch: pytest.MonkeyPatch, instead: Callable[[float], object]) -> None:
    """Has this thread call `instead` where it would call `time.sleep`. Other threads sleep as they did."""
    own = threading.get_ident()

    def sleep(seconds: float) -> None:
        if threading.get_ident() == own:
            instead(seconds)
        else:
            _sleep(seconds)

    patch.setattr(time, "sleep", sleep)

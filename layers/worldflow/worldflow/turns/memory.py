"""The memory of a process that keeps executions live, and reads long histories."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

LIVE_MEMORY = 0.8
"""Of the memory of a function, which its process may use before it lets go of live executions."""


def memory_is_short() -> bool:
    """Whether this process uses more of its function's memory than it should for what it only keeps at hand. Elsewhere
    than on Lambda: never.
    """
    size = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    if size is None:
        return False
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return False
    return pages * os.sysconf("SC_PAGE_SIZE") > LIVE_MEMORY * int(size) * 1024 * 1024


@contextmanager
def without_collections() -> Iterator[None]:
    """Keeps the garbage collector away. What is read of a history stays, and would be walked again and again."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

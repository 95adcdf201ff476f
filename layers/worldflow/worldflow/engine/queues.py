"""The names of step queues."""

from __future__ import annotations

import re

from worldflow.engine.errors import ConfigurationError

DEFAULT = "default"
"""The queue of steps that name none."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")


def check_queue(name: object, where: str) -> str:
    """The name of a queue. Raises `ConfigurationError` if it is not one.

    where: what names it, for the error.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{where} must be up to 30 lowercase letters, digits and hyphens that begin with a letter, not {name!r}"
        )
    return name

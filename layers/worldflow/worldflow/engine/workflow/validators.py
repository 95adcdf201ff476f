"""Validators of updates: what may refuse one before it is recorded.

A validator runs once, when the update arrives, and on no replay. So it must change nothing, and it sees nothing of
Worldflow: calling a step, or reading the workflow's time, is an error there. An update that was recorded before its
handler was there, or while the workflow's code could not run, is validated by its handler's task instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.here import nobody_here
from worldflow.engine.history import UpdateReceived
from worldflow.engine.values.signatures import Signature

ARE_USED = "worldflow:updates-are-validated"
"""Marks a history whose workflow has a validator: senders look for a refusal there."""


def _must_be_plain(name: str) -> ConfigurationError:
    return ConfigurationError(f"the validator of the update {name!r} must be a plain function, not async")


class Validator:
    """The validator of one handler, which takes the same arguments."""

    def __init__(self, function: Callable[..., Any], handler: Signature, name: str) -> None:
        self._handler = handler
        self._signature = Signature(function, f"the validator of {name}")
        if inspect.iscoroutinefunction(function):
            raise _must_be_plain(name)
        mine, its = ([one.name for one in signature.parameters] for signature in (self._signature, handler))
        if mine != its:
            raise ConfigurationError(
                f"the validator of the update {name!r} must have the parameters of its handler "
                f"({', '.join(its)}), not ({', '.join(mine)})"
            )

    def refusal(self, fact: UpdateReceived) -> BaseException | None:
        """Why an update is refused, if it is: its arguments do not fit the handler, or the function raises."""
        try:
            with nobody_here():
                said = self._signature.call(self._handler.parse(self._handler.by_name(fact.args or [])))
                if inspect.isawaitable(said):
                    if inspect.iscoroutine(said):
                        said.close()  # nobody else will
                    raise _must_be_plain(fact.name)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            return error
        return None

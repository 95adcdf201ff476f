"""What a step guarantees, and the deprecated options that said so: the next release removes them."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

from worldflow.engine.errors import ConfigurationError

Guarantee = Literal["at_least_once", "at_most_once", "repeatable", "pure"]

DEPRECATED = ("at_most_once", "pure", "idempotent")


def check_guarantee(value: object) -> None:
    """Raises `ConfigurationError` for what is no guarantee."""
    *names, last = map(repr, get_args(Guarantee))
    if value not in get_args(Guarantee):
        raise ConfigurationError(f"@step(guarantee=...) takes {', '.join(names)} or {last}, not {value!r}")


def replacing_deprecated(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a step, with `guarantee` in place of deprecated ones. Warns of these where `step` was called.

    Raises `ConfigurationError` if they contradict each other, or are given beside `guarantee`.
    """
    given = {name: value for name, value in options.items() if name in DEPRECATED}
    if not given:
        return options
    said = ", ".join(f"{name}={value!r}" for name, value in given.items())
    if "guarantee" in options:
        raise ConfigurationError(
            f"@step(guarantee={options['guarantee']!r}, {said}): guarantee takes the place of {' and '.join(given)}. "
            f"Leave out {said}"
        )
    guarantee = meant_by(**given)
    warnings.warn(
        f'@step({said}) is deprecated and will be removed in the next release: write @step(guarantee="{guarantee}")',
        DeprecationWarning,
        stacklevel=3,
    )
    others = {name: value for name, value in options.items() if name not in given}
    return {**others, "guarantee": guarantee}


def meant_by(*, at_most_once: bool = False, pure: bool = False, idempotent: bool = True) -> Guarantee:
    """The guarantee that deprecated options ask for. Raises `ConfigurationError` if they contradict each other."""
    if at_most_once and (pure or not idempotent):
        other = "pure=True" if pure else "idempotent=False"
        raise ConfigurationError(
            f"@step(at_most_once=True, {other}): at_most_once=True says that the step must not run again, and {other} "
            f'that it may. Write guarantee="at_most_once", or guarantee="{"pure" if pure else "repeatable"}"'
        )
    if at_most_once:
        return "at_most_once"
    if pure:
        return "pure"
    return "at_least_once" if idempotent else "repeatable"

"""The options of an agent's steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai.toolsets import ToolsetTool
from typing_extensions import TypedDict

from worldflow.engine.durations import Duration
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.workflow.definitions import Step
from worldflow.engine.workflow.families import member
from worldflow.engine.workflow.guarantees import Guarantee
from worldflow.engine.workflow.retry import RetryPolicy

METADATA = "worldflow"
"""The key of a tool's metadata that has its options."""


class StepOptions(TypedDict, total=False):
    """Options of an agent's steps: see `worldflow.step`.

    With a `heartbeat_timeout`, heartbeats are sent automatically while the model or the tool works.
    """

    timeout: Duration
    heartbeat_timeout: Duration
    retry: RetryPolicy
    guarantee: Guarantee
    inline: bool


def checked(options: Any, where: str) -> StepOptions:
    """Options as they are given. Raises `ConfigurationError`, which says where, for what is no option."""
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{where} must be a dict of options, not {options!r}")
    known = StepOptions.__annotations__
    if unknown := [name for name in options if name not in known]:
        raise ConfigurationError(f"{where}: there is no option {unknown[0]!r}. The options are {', '.join(known)}")
    if not isinstance(options.get("inline", False), bool):
        raise ConfigurationError(f"{where}: inline must be True or False, not {options['inline']!r}")
    try:
        member(Step(checked, "step"), "step", **options)
    except (ConfigurationError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return StepOptions(**options)  # type: ignore[typeddict-item]


def of_tool(tool: ToolsetTool[Any] | None, name: str) -> StepOptions | None:
    """The options in a tool's metadata; None for a tool that is to run in the workflow."""
    options = ((tool and tool.tool_def.metadata) or {}).get(METADATA, {})
    if options is False:
        return None
    return checked(options, f"the metadata {METADATA!r} of the tool {name!r}")

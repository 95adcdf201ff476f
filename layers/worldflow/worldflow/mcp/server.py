"""The server: which tools it has, what clients are told of them, and how they fail."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from worldflow import __version__
from worldflow.engine import errors
from worldflow.engine.privacy import redacted
from worldflow.mcp.acting import Acting
from worldflow.mcp.reading import Reading
from worldflow.mcp.showing import NOTE, Showing
from worldflow.terminal import describe_error, is_explained
from worldflow.worlds import World

INSTRUCTIONS = f"""\
Worldflow runs durable workflows: Python functions whose progress survives crashes. A run is one execution of a
workflow, with an id, a status and a history of events. To find out about a run, call explain_run first, then
read_history for the details. A `failed` run can be retried, a `blocked` run waits for its code to be fixed.

{NOTE}
"""

WRITES = """
You may change things: the tools that do are marked. Ask the user before you cancel a run, or before you decide in
place of a person.
"""

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
_ONCE = _ADDS.model_copy(update={"idempotent_hint": True})
_ENDS = _ONCE.model_copy(update={"destructive_hint": True})
_DECIDES = _ADDS.model_copy(update={"destructive_hint": True})

WRITING: Mapping[str, ToolAnnotations] = {
    "start_run": _ADDS,
    "send_signal": _DECIDES,
    "resume_hook": _DECIDES,
    "send_update": _DECIDES,
    "retry_run": _ONCE,
    "fork_run": _ONCE,
    "cancel_run": _ENDS,
    "resume_run": _ONCE,
}
"""The tools that change something. What a message makes of a run cannot be undone, so it counts as destructive."""

_ADVICE: Mapping[type[BaseException], str] = {
    errors.RunNotFoundError: "list_runs shows the runs that there are",
    errors.RunEndedError: "retry_run continues a failed run, and fork_run any other",
    errors.HookNotFoundError: "read_history shows the token in the event HookCreated, and HookDisposed if it is gone",
    errors.WorkflowNotFoundError: "restart the server with --workflows MODULE, the module that defines it",
    errors.RunBlockedError: "explain_run says why and what to do",
}


def create_server(world: World, *, allow_writes: bool = False, payloads: bool = True) -> MCPServer:
    """A server of the runs of a World.

    allow_writes: adds the tools that change something.
    payloads: whether answers hold the user's data: inputs, results, messages of errors.
    """
    shown = Showing(payloads=payloads)
    server: MCPServer = MCPServer(
        "worldflow",
        title="Worldflow",
        version=__version__,
        website_url="https://worldflow.github.io/worldflow/",
        instructions=INSTRUCTIONS + (WRITES if allow_writes else ""),
        log_level="WARNING",
    )
    for name, tool in _tools(Reading(world, shown, is_all=not allow_writes)).items():
        _add(server, name, tool, READS, payloads)
    if allow_writes:
        acting = _tools(Acting(world, shown))
        for name, annotations in WRITING.items():
            _add(server, name, acting[name], annotations, payloads)
    return server


def _tools(holder: object) -> dict[str, Callable[..., Any]]:
    return {name: tool for name, tool in inspect.getmembers(holder, inspect.ismethod) if not name.startswith("_")}


def _add(server: MCPServer, name: str, tool: Callable[..., Any], annotations: ToolAnnotations, payloads: bool) -> None:
    title = name.replace("_", " ").capitalize()
    description = inspect.cleandoc(tool.__doc__ or "").replace("\n", " ").replace("  ", "\n\n")
    server.add_tool(
        _explaining(tool, payloads),
        name=name,
        title=title,
        description=description,
        annotations=annotations.model_copy(update={"title": title}),
        structured_output=True,
    )


def _explaining(tool: Callable[..., Any], payloads: bool) -> Callable[..., Any]:
    """The tool, whose errors say what would be right. Those that nobody expects are the SDK's to hide and to log."""
    if inspect.iscoroutinefunction(tool):

        @functools.wraps(tool)
        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await tool(*args, **kwargs)
            except Exception as error:
                raise _told(error, payloads) from error

        return call

    @functools.wraps(tool)
    def call_in_thread(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except Exception as error:
            raise _told(error, payloads) from error

    return call_in_thread


def _told(error: Exception, payloads: bool) -> Exception:
    """What the client sees of an error."""
    if not is_explained(error) and not isinstance(error, TimeoutError):
        return error
    text = redacted(describe_error(error)) if payloads or _is_ours(error) else type(error).__name__
    advice = next((advice for kind, advice in _ADVICE.items() if isinstance(error, kind)), None)
    return ToolError(f"{text}; {advice}" if advice else text)


def _is_ours(error: Exception) -> bool:
    """Whether the text of an error has ids and names only. That of a blocked run has what its code raised."""
    return not isinstance(error, (errors.RunBlockedError, errors.RunFailedError, errors.StepError))

"""The commands that ask something of a run."""

from __future__ import annotations

import getpass
import math
import time
from functools import partial
from typing import Annotated, Any

import typer

from worldflow.cli import bulk
from worldflow.cli.common import (
    AsJson,
    Local,
    Modules,
    Quiet,
    Reason,
    RunId,
    Stack,
    Value,
    open_world,
    pauses,
    print_json,
    read_json,
)
from worldflow.cli.starting import known_workflow
from worldflow.engine.durations import seconds
from worldflow.engine.errors import WorldflowError
from worldflow.engine.history import Replied
from worldflow.engine.workflow.definitions import Workflow
from worldflow.presentation import describe_failure
from worldflow.runtime import sending, updates, webhooks
from worldflow.turns.other_runs import open_run, undeclared
from worldflow.worlds.base import World


def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    value: Value = None,
    workflows: Modules = "",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send a signal to a run. With --workflows, compare it first with the signals that the workflow declares."""
    sent = read_json(value, "--value") if value is not None else None
    with open_world(local, stack) as world:
        if workflows:
            _warn(open_run(world, run_id).workflow_name, workflows, name)
        signal_id = sending.signal(world, run_id, name, sent)
    if as_json:
        print_json({"run_id": run_id, "signal_id": signal_id})
    else:
        typer.echo(f"Sent signal {name} to {run_id}.")


def _warn(workflow: str, modules: str, signal: str) -> None:
    """Says on stderr why the workflow may not receive the signal, which is sent nevertheless."""
    try:
        known = known_workflow(workflow, modules)
    except WorldflowError as error:
        warning: str | None = f"the value is not checked: {error}"
    else:
        warning = undeclared(known, signal) if isinstance(known, Workflow) else None
    if warning:
        typer.echo(f"Warning: {warning}", err=True)


def hook(
    token: Annotated[str, typer.Argument(help="The hook's token.")],
    value: Value = None,
    error: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Report a failure instead: the workflow gets HookFailedError.")
    ] = None,
    heartbeat: Annotated[
        bool, typer.Option("--heartbeat", help="Report instead that a value is still to come.")
    ] = False,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send a value, a failure (--error) or a heartbeat (--heartbeat) to the run that holds a hook."""
    if value is not None and error is not None:
        raise typer.BadParameter("cannot be given together with --value", param_hint="--error")
    if heartbeat and (value is not None or error is not None):
        raise typer.BadParameter("cannot be given together with --value or --error", param_hint="--heartbeat")
    sent = read_json(value, "--value") if value is not None else None
    with open_world(local, stack) as world:
        if heartbeat:
            what, held = "heartbeat", webhooks.heartbeat_hook(world, token)
        elif error is not None:
            what, held = "failure", webhooks.fail_hook(world, token, error)
        else:
            what, held = "value", webhooks.resume_hook(world, token, sent)
    if as_json:
        print_json({"run_id": held.run_id, "hook_id": held.hook_id})
    else:
        typer.echo(f"Sent the {what} to {held.run_id}.")


def update(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The update's name.")],
    args: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="Arguments as a JSON array; @FILE reads a file, - reads stdin."),
    ] = None,
    update_id: Annotated[
        str | None, typer.Option(help="Identifies the update; an update sent twice with the same id runs once.")
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="Maximum time to wait for the answer.")] = "30s",
    start: Annotated[
        str | None,
        typer.Option(metavar="WORKFLOW", help="Start a run of this workflow first, if none with this id is open."),
    ] = None,
    input: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="With --start: arguments by name as a JSON object.")
    ] = None,
    workflows: Modules = "",
    local: Local = None,
    stack: Stack = None,
) -> None:
    """Send an update to a run, wait for the answer, and print it as JSON."""
    if input is not None and start is None:
        raise typer.BadParameter("needs --start WORKFLOW", param_hint="--input")
    given = read_json(args, "--args") if args is not None else []
    if not isinstance(given, list):
        raise typer.BadParameter("must be a JSON array of arguments", param_hint="--args")
    patience = _patience(timeout)
    with open_world(local, stack) as world:
        if start is None:
            sent = updates.send_update(world, run_id, name, tuple(given), update_id=update_id)
        else:
            known = known_workflow(start, workflows)
            send = partial(updates.update_with_start, world, run_id, known, _input(input, known))
            sent = send(name=name, args=given, update_id=update_id)
        reply = _wait(world, sent, patience)
    if reply is None:
        raise WorldflowError(f"{run_id} has not answered within {timeout}; the update is still pending")
    if reply.error:
        raise WorldflowError(describe_failure(reply.error))
    print_json(reply.result)


def _input(text: str | None, workflow: Workflow[..., Any] | str) -> dict[str, Any]:
    given = read_json(text, "--input") if text is not None else {}
    if not isinstance(given, dict):
        raise typer.BadParameter("must be a JSON object of arguments by name", param_hint="--input")
    return given if isinstance(workflow, str) else workflow.signature.parse(given)


def _wait(world: World, update: updates.PendingUpdate, patience: float) -> Replied | None:
    """The answer to an update, if it arrives within the timeout."""
    until, quiet = time.monotonic() + patience, Quiet(world, update.run_id)
    for pause in pauses():
        reply = updates.look_for_answer(world, update)
        left = until - time.monotonic()
        if reply is not None or left <= 0:
            return reply
        quiet.goes_on()
        time.sleep(min(pause, left))
    return None


def _patience(timeout: str | None) -> float:
    try:
        return math.inf if timeout is None else seconds(timeout)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from None


def cancel(
    run_id: bulk.SomeRun = None,
    reason: Reason = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a run, or many. Its workflow gets asyncio.CancelledError where it waits."""
    if run_id is None:
        bulk.act("cancel", where, token, yes, rate, local, stack, as_json, reason=reason)
        return
    bulk.refuse_both(where, token)
    with open_world(local, stack) as world:
        sending.cancel(world, run_id, reason)
    _tell(run_id, f"Requested cancellation of {run_id}.", as_json)


def terminate(
    run_id: bulk.SomeRun = None,
    reason: Reason = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """End a run, or many, immediately. Its workflow's code does not run, so nothing is cleaned up or undone."""
    if run_id is None:
        bulk.act("terminate", where, token, yes, rate, local, stack, as_json, reason=reason)
        return
    bulk.refuse_both(where, token)
    with open_world(local, stack) as world:
        sending.terminate(world, run_id, reason)
    _tell(run_id, f"Requested termination of {run_id}.", as_json)


def wake(
    run_id: RunId,
    timer: Annotated[
        str | None, typer.Option(metavar="ID", help="End this timer only, such as t3. It may be that of a timeout.")
    ] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """End the sleeps of a run now. Timeouts stay, except one named by --timer."""
    with open_world(local, stack) as world:
        woken = sending.wake(world, run_id, timer)
    if as_json:
        print_json({"run_id": run_id, "woken": woken})
    elif woken:
        typer.echo(f"Woke {woken} {'timer' if woken == 1 else 'timers'} of {run_id}.")
    else:
        typer.echo(f"{run_id} is not sleeping." if timer is None else f"Timer {timer} of {run_id} is not open.")


def pause(
    run_id: bulk.SomeRun = None,
    reason: Reason = None,
    by: Annotated[str | None, typer.Option(help="Who pauses the run. Default: your user name.")] = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Pause a run, or many: no code of it runs and no step begins until unpause. Running steps finish."""
    if run_id is None:
        bulk.act("pause", where, token, yes, rate, local, stack, as_json, reason=reason, alone={"--by": by})
        return
    bulk.refuse_both(where, token)
    with open_world(local, stack) as world:
        sending.pause(world, run_id, reason, by=by or user())
    _tell(run_id, f"Requested a pause of {run_id}.", as_json)


def _tell(run_id: str, done: str, as_json: bool) -> None:
    if as_json:
        print_json({"run_id": run_id})
    else:
        typer.echo(done)


def user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # which has no name here
        return None


def unpause(
    run_id: bulk.SomeRun = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused run, or many, continue. Timers that fell due meanwhile fire at once."""
    if run_id is None:
        bulk.act("unpause", where, token, yes, rate, local, stack, as_json)
        return
    bulk.refuse_both(where, token)
    with open_world(local, stack) as world:
        sending.unpause(world, run_id)
    _tell(run_id, f"Requested {run_id} to continue.", as_json)


def resume(
    run_id: bulk.SomeRun = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Resume a blocked run, or many, after its code is fixed."""
    if run_id is None:
        bulk.act("resume", where, token, yes, rate, local, stack, as_json)
        return
    bulk.refuse_both(where, token)
    with open_world(local, stack) as world:
        sending.resume(world, run_id)
    _tell(run_id, f"Resumed {run_id}.", as_json)

"""`python -m worldflow.devtools.verify STACK`: see `make help` and docs/guide/deploying.md."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from worldflow.devtools.stack import parameters_of_this_machine
from worldflow.devtools.verify import deployment
from worldflow.devtools.verify.checks import CHECKS
from worldflow.devtools.verify.forgetting import forget
from worldflow.devtools.verify.outcome import Check, Result, run_checks
from worldflow.devtools.verify.price import price_line
from worldflow.devtools.verify.questions import answers
from worldflow.devtools.verify.report import STYLES, answers_table, exit_status, print_summary, results_table
from worldflow.devtools.verify.target import Target

console = Console(highlight=False, soft_wrap=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worldflow.devtools.verify", description="Check a deployed stack.")
    parser.add_argument("stack", help="its name")
    parser.add_argument("--no-deploy", action="store_true", help="use an existing stack (DEPLOY=no)")
    parser.add_argument("--keep", action="store_true", help="keep the deployed stack (KEEP=yes)")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation (YES=1)")
    parser.add_argument("--config", default="default", help="table of samconfig.toml (CONFIG=prod)")
    parser.add_argument("--parameters", default="", help="Name=value, separated by spaces (PARAMETERS='...')")
    parser.add_argument("--only", default="", help="run the checks whose names contain this (ONLY=...)")
    options = parser.parse_args()
    try:
        return verify(options)
    except (deployment.DeploymentFailed, ClientError, BotoCoreError) as error:
        Console(stderr=True, highlight=False).print(f"Not verified: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def verify(options: argparse.Namespace) -> int:
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    makes = not options.no_deploy
    if makes == deployment.exists(session, options.stack):
        raise deployment.DeploymentFailed(
            f"stack {options.stack} already exists in {session.region_name}: check it with DEPLOY=no, or name another"
            if makes
            else f"there is no stack {options.stack} in {session.region_name}; to deploy it, omit DEPLOY=no"
        )
    overrides = deployment.parameters(options.config, shlex.split(options.parameters)) if makes else []
    if makes and not options.keep and "Stage=dev" not in overrides:
        raise deployment.DeploymentFailed("only a stack with Stage=dev can be removed: keep any other with KEEP=yes")
    if not agreed(options, session, makes):
        return 1
    removes = makes and not options.keep
    try:
        if makes:
            deployment.deploy(options.stack, _for_an_emulator(session, overrides))
        target = Target(options.stack, session=session, token=os.environ.get("TOKEN"))
        return check(target, [one for one in CHECKS if options.only in one.name], leaves_runs=removes)
    finally:
        if removes and deployment.exists(session, options.stack):
            console.print(f"Removing the stack {options.stack} ...")
            deployment.remove(session, options.stack)


def check(target: Target, checks: list[Check], *, leaves_runs: bool) -> int:
    """Runs the checks and prints their results. Returns the exit status."""
    try:
        results = run(target, checks)
    finally:
        for left in [] if leaves_runs else forget(target):
            console.print(f"Not removed: {left}", style="yellow", markup=False)
    console.print(results_table(results))
    console.print(answers_table(answers(results, is_local=target.is_local)))
    print_summary(console, results)
    return exit_status(results)


def agreed(options: argparse.Namespace, session: boto3.Session, makes: bool) -> bool:
    """Prints what is about to happen and its price, and asks whether to continue."""
    account = session.client("sts").get_caller_identity()["Account"]
    what = "Deploys, checks and removes the stack" if makes else "Checks the stack, and removes its own runs"
    console.print(f"{what}: {options.stack}, in account {account}, {session.region_name}.")
    if not makes:
        console.print(
            "It sends dead letters, which triggers their alarms, and rotates the webhook key. For a minute or two the "
            "orchestrator does not receive dead letters of runs."
        )
    console.print(price_line(makes=makes))
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise deployment.DeploymentFailed("cannot ask for confirmation without a terminal: set YES=1")
    return console.input("Continue? [y/N] ").strip().lower() in ("y", "yes")


def run(target: Target, checks: list[Check]) -> list[Result]:
    results = []
    for result in run_checks(target, checks):
        console.print(f"{result.outcome:<16} {result.check.name}", style=STYLES[result.outcome], markup=False)
        results.append(result)
    order = [one.name for one in checks]
    return sorted(results, key=lambda result: order.index(result.check.name))


def _for_an_emulator(session: boto3.Session, overrides: list[str]) -> list[str]:
    """The local AWS runs the functions in this interpreter."""
    endpoint = session.client("cloudformation").meta.endpoint_url
    return overrides if ".amazonaws.com" in endpoint else [*overrides, *parameters_of_this_machine()]


if __name__ == "__main__":
    sys.exit(main())

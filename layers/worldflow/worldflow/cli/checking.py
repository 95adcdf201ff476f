"""The command that looks for what workflows must not do."""

from __future__ import annotations

import os
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Annotated

import typer

from worldflow.cli import against
from worldflow.cli.common import ON_THE_PATH, AsJson, print_json, where_modules_are_named
from worldflow.determinism import Finding, Report, clashes
from worldflow.determinism import check as check_source

_LAYER = "layers/workflows"
"""Where a project has its workflows."""


def check(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE|PATH",
            help=f"Modules, packages, files or directories; default: those of WORLDFLOW_WORKFLOWS, or {_LAYER}.",
            show_default=False,
        ),
    ] = None,
    stack: against.Against = None,
    local: against.File = None,
    workflow: against.Workflows = None,
    since: against.Since = None,
    sample: against.Sample = None,
    form: against.Printed = None,
    as_json: AsJson = False,
) -> None:
    """Find code in workflows that cannot be replayed, and names that are used twice, without importing the code.
    With --against, import the code and replay the runs of an environment on it, before you deploy it.
    Exit with 1 if anything is found, or if an open run would be blocked.
    """
    if stack or local:
        if stack and local:
            raise typer.BadParameter("give --against or --local", param_hint="--local")
        shape = "json" if as_json else form or against.default_format()
        against.check_runs(against.modules_of(targets), local, stack, workflow or (), since or "1d", sample, shape)
        return
    against.refuse_without_runs(workflow=workflow, since=since, sample=sample, format=form)
    named = targets or os.environ.get("WORLDFLOW_WORKFLOWS", _workflows_here()).split(",")
    files: dict[str, Path] = {}
    origin = "" if targets else f" (from {where_modules_are_named()})"
    for file in (file for target in named if target.strip() for file in _files(target.strip(), origin)):
        files.setdefault(os.path.abspath(file), file)
    reports = [_check(file) for file in files.values()]
    findings = [finding for report in reports for finding in report.findings]
    findings += clashes(definition for report in reports for definition in report.definitions)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(_line(finding))
    workflows = sum(len(report.workflows) for report in reports)
    found = _count(len(findings), "finding") if findings else "nothing found"
    typer.echo(f"{_count(workflows, 'workflow')} in {_count(len(files), 'file')}: {found}.", err=True)
    if not all(finding.is_hint for finding in findings):
        raise typer.Exit(1)


def _workflows_here() -> str:
    return _LAYER if Path(_LAYER).is_dir() else "workflows"


def _check(file: Path) -> Report:
    try:
        with tokenize.open(file) as source:  # which reads it in the encoding that it says it has
            return check_source(source.read(), str(file))
    except (SyntaxError, ValueError) as error:
        line, column = (error.lineno, error.offset) if isinstance(error, SyntaxError) else (None, None)
        finding = Finding(
            path=str(file),
            line=line or 1,
            column=column or 1,
            what="syntax error",
            why=error.msg if isinstance(error, SyntaxError) else str(error),
            instead="",
            function="",
            workflow="",
        )
        return Report(workflows=(), findings=(finding,))


def _files(target: str, origin: str) -> Iterator[Path]:
    """The files of a module, a package, a directory; or the file itself.

    origin: where the target is named, for people.
    """
    path = Path(target)
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from _files_below(path)
    else:
        spec = _find(target)
        if spec is None:
            problem = f"there is no module, file or directory {target!r}{origin}; {ON_THE_PATH}"
            raise typer.BadParameter(problem, param_hint="MODULE|PATH")
        if spec.submodule_search_locations is not None:
            for location in spec.submodule_search_locations:
                yield from _files_below(_shortest(Path(location)))
        elif spec.origin and Path(spec.origin).suffix == ".py":
            yield _shortest(Path(spec.origin))


def _files_below(directory: Path) -> Iterable[Path]:
    return sorted(
        file
        for file in directory.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(directory).parts)
    )


def _find(module: str) -> ModuleSpec | None:
    """Where a module is. `importlib.util.find_spec` would import the packages that it is in."""
    package, *inner = module.split(".")
    specs = (finder.find_spec(package, None) for finder in sys.meta_path)
    spec = next((spec for spec in specs if spec is not None), None)
    for name in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name only: the parent of a namespace package would be looked for among the imported modules.
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _shortest(path: Path) -> Path:
    """The path from here, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _line(finding: Finding) -> str:
    where = ""
    if finding.function:
        where = f" in {finding.function}"
        if finding.function != finding.workflow:
            where += f", which {finding.workflow} uses"
    hint = "hint: " if finding.is_hint else ""
    place = f"{finding.path}:{finding.line}:{finding.column}"
    instead = f". Instead: {finding.instead}" if finding.instead else ""
    return f"{place}: {hint}{finding.what}{where}: {finding.why}{instead}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""Finding the user's workflows and steps: by importing the modules that hold them."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pkgutil
from collections.abc import Iterable

from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.registry import import_failures

_log = logging.getLogger("worldflow")


def load_workflows(modules: Iterable[str]) -> None:
    """Imports modules, and every submodule of those that are packages, so that their workflows and steps are known.

    A module that cannot be imported stops no other: it is logged, and named by the runs that need it.
    """
    for name in modules:
        _load(name)


def _load(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        _log.exception("module %s cannot be imported", name)
        definitions.forget(name)  # a workflow without the half that failed would fail its runs, and not block them
        import_failures[name] = f"{type(error).__name__}: {error}"
        return
    import_failures.pop(name, None)
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        _load(found.name)


def explain_failures() -> str:
    """What to add to "there is no such workflow": the modules that may have had it."""
    return f"{not_imported()}. Modules to import are named in WORLDFLOW_WORKFLOWS"


def not_imported() -> str:
    failures = ", ".join(f"{name} ({why})" for name, why in sorted(import_failures.items()))
    return f"; not imported: {failures}" if failures else ""

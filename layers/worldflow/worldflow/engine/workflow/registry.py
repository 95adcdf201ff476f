"""Definitions by name: which two of one name are one, and which are a mistake."""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.values.signatures import as_function

interceptors: list[Intercepting] = []
"""The interceptors of this process, the outermost first."""


class Definition(Protocol):
    """A workflow or a step."""

    name: str
    function: Callable[..., Any]


D = TypeVar("D", bound=Definition)


@dataclass(frozen=True, slots=True)
class Intercepting:
    """An interceptor, and where it was registered: see `interceptors.py`."""

    interceptor: Any
    module: str
    place: tuple[str, int] | None
    """The file and line, if it was registered at the top level of a module."""


FAMILY = ".*"
"""The end of a name that stands for others: `a.*` is what `a.b` and `a.c` lead to. See `families.py`."""

DYNAMIC = 0
"""The version of the dynamic definition, which stands in for names that no other has. See `dynamic.py`."""
_ANY = "*"
"""The name under which it is kept: not a valid name of any other."""

OWN = "worldflow."
"""The prefix of the names of the engine's own steps and workflows."""

import_failures: dict[str, str] = {}
"""The modules that did not import, and why. Their workflows are unknown, and so their runs are blocked, with this
reason.
"""


class Registry(Generic[D]):
    """Definitions by name and, of one name, by version."""

    def __init__(self, kind: str, *reserved: str) -> None:
        """reserved: prefixes of names for which no dynamic definition stands in."""
        self._kind = kind
        self._reserved = reserved
        self._versions: dict[str, dict[int, D]] = {}
        self._own: dict[str, dict[int, D]] = {}
        self._later: dict[str, str] = {}

    def add_own(self, definition: D) -> D:
        """Makes a definition of the engine's own known, which is none of the application's."""
        self._own[definition.name] = {1: definition}
        return definition

    def add_own_later(self, name: str, module: str) -> None:
        """The same for a definition that `module` adds: the module is imported when the name is first looked up."""
        self._later[name] = module

    def add(self, definition: D, version: int = 1) -> D:
        try:
            check_name(definition.name.removesuffix(FAMILY))
        except InvalidInputError as error:
            problem = f"{_place(definition)}: {error.summary}. Set a valid name: @{self._kind}(name=...)"
            raise ConfigurationError(problem) from None
        versions = self._versions.setdefault(definition.name, {})
        other = versions.get(version)
        if other is not None and not _replaces(definition, other):
            raise ConfigurationError(self._clash(definition, other))
        versions[version] = definition
        return definition

    def add_dynamic(self, definition: D) -> D:
        """Makes a definition stand in for every name that no other has."""
        other = self._versions.get(_ANY, {}).get(DYNAMIC)
        if other is not None and not _replaces(definition, other):
            raise ConfigurationError(
                f"two {self._kind}s are dynamic: {_place(other)} and {_place(definition)}. Keep one of them: it takes "
                f"every name that no other {self._kind} has"
            )
        self._versions[_ANY] = {DYNAMIC: definition}
        return definition

    def dynamic(self, name: str, *, is_pinned: bool = False) -> D | None:
        """The dynamic definition, under a name that no other has; None if there is no dynamic one.

        is_pinned: the run is known to use the dynamic one. Otherwise it does not stand in while a module has failed to
            import, since that module may define the name.
        """
        found = self._versions.get(_ANY, {}).get(DYNAMIC)
        if found is None or name.startswith(self._reserved) or (import_failures and not is_pinned):
            return None
        named = copy.copy(found)
        named.name = name
        return named

    def check(self, definition: D, version: int = 1) -> None:
        """Raises `ConfigurationError` where another definition has taken the name of this one."""
        found = self._versions.get(definition.name, {}).get(version)
        if found is not None and found.function is not definition.function and _place(found) != _place(definition):
            raise ConfigurationError(
                f"the {self._kind} {_place(definition)} would not run: its name {definition.name!r} is also that of "
                f"{_place(found)}, which was defined later. Rename one of them: @{self._kind}(name=...)"
            )

    def _clash(self, definition: D, other: D) -> str:
        clash = f"two {self._kind}s are named {definition.name!r}: {_place(other)} and {_place(definition)}"
        if _source(definition) is not None and _source(other) == _source(definition):
            return (
                f"{clash}. They are the same {self._kind}, whose file was imported as two modules: import the module "
                f"by one name everywhere, also in WORLDFLOW_WORKFLOWS, and don't run a script that is also imported"
            )
        remedy = f"Rename one of them: @{self._kind}(name=...)"
        if self._kind == "workflow":
            remedy += ", or make one a new version: @workflow(name=..., version=2)"
        return f"{clash}. {remedy}"

    def versions(self, name: str) -> Mapping[int, D]:
        """The definitions of a name, by version: if it has none of its own, those of its family."""
        found = self._versions.get(name) or self._versions.get(name.rpartition(".")[0] + FAMILY)
        if not found and name in self._later and name not in self._own:
            importlib.import_module(self._later[name])
        return found or self._own.get(name, {})

    def names(self) -> list[str]:
        return sorted(self._versions.keys() - {_ANY})

    def forget(self, module: str) -> None:
        for name, versions in list(self._versions.items()):
            for version in [v for v, found in versions.items() if as_function(found.function).__module__ == module]:
                del versions[version]
            if not versions:
                del self._versions[name]


def _replaces(definition: Definition, other: Definition) -> bool:
    """Whether a definition takes the place of one of its name: it is the same function, whose module is loaded again,
    or one of the two is made anew whenever a function is called, of a test mostly.
    """
    place, other_place = _place(definition), _place(other)
    return place == other_place or "<locals>" in place or "<locals>" in other_place


def _source(definition: Definition) -> tuple[str, str, int] | None:
    """Where a function stands, which two that are one have in common."""
    function = as_function(definition.function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code and code.co_qualname == function.__qualname__:
        return (function.__qualname__, code.co_filename, code.co_firstlineno)
    # It stands for something else, as the workflow of an entity does for its class.
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return (function.__qualname__, file, 0) if file else None


def _place(definition: Definition) -> str:
    function = as_function(definition.function)
    return f"{function.__module__}.{getattr(function, '__qualname__', definition.name)}"

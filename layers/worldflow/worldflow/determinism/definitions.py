"""Finds the workflows and steps that a module defines for certain, and those of one name."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

from worldflow.determinism.findings import Definition, Finding, Kind
from worldflow.determinism.names import Function, FunctionNode, Scope

_MARKS: Mapping[str, Kind] = {
    "worldflow.workflow": "workflow",
    "worldflow.engine.workflow.decorators.workflow": "workflow",
    "worldflow.step": "step",
    "worldflow.engine.workflow.decorators.step": "step",
}
_ENTITIES = ("worldflow.entity", "worldflow.engine.workflow.entity_classes.entity")
_INTERCEPTORS = ("worldflow.Interceptor", "worldflow.engine.workflow.interceptors.Interceptor")
_ANY = "*"
"""In place of the name of what is dynamic, which has none."""
_REMEDIES: Mapping[Kind, str] = {
    "workflow": "@workflow(name=...), or the same name with another version=...",
    "step": "@step(name=...)",
}


def kind_of(decorator: ast.expr, scope: Scope) -> Kind | None:
    """What `workflow` or `step`, with or without options, makes of a function."""
    kinds = (_MARKS.get(name.removesuffix("()")) for name in scope.dotted(decorator))
    return next((kind for kind in kinds if kind), None)


def is_entity(node: ast.ClassDef, scope: Scope) -> bool:
    """Whether a class is one of entities: its methods are code of workflows."""
    names = (name.removesuffix("()") for decorator in node.decorator_list for name in scope.dotted(decorator))
    return any(name in _ENTITIES for name in names)


def is_interceptor(node: ast.ClassDef, scope: Scope) -> bool:
    """Whether a class is one of interceptors: its method `run_workflow` is code of workflows."""
    return any(name in _INTERCEPTORS for base in node.bases for name in scope.dotted(base))


def definitions(
    tree: ast.Module, scope: Scope, place: Callable[[ast.expr, FunctionNode], tuple[str, int, int] | None]
) -> Iterator[Definition]:
    """The definitions whose names are known.

    Left out are those inside a function, which may make them again, and those in a branch, such as `if` and `try`:
    another branch may define the same.

    place: the path, line and column of a decorator. None: its name is allowed.
    """
    seen: set[tuple[Kind, str, int, ast.AST]] = set()
    for decorator, function, its_scope in _decorated(tree.body, scope):
        kind, options = kind_of(decorator, its_scope), _options(decorator, its_scope)
        if kind is None or options is None or _is_method(function):
            continue
        at = place(decorator, function)
        name, version = options.get("name") or function.name, options.get("version", 1)
        if options.get("dynamic"):
            name = _ANY
        if at is None or not isinstance(name, str) or not isinstance(version, int):
            continue
        if (kind, name, version, function) not in seen:
            seen.add((kind, name, version, function))
            path, line, column = at
            yield Definition(kind=kind, name=name, version=version, path=path, line=line, column=column)


def _is_method(function: FunctionNode) -> bool:
    """Whether the name is one that each instance has with its own: see `configured`."""
    return any(one.arg in ("self", "cls") for one in (*function.args.posonlyargs, *function.args.args)[:1])


def clashes(found: Iterable[Definition]) -> Iterator[Finding]:
    """A finding for each definition that has the name, and the version, of an earlier one."""
    first: dict[tuple[Kind, str, int], Definition] = {}
    for one in found:
        other = first.setdefault((one.kind, one.name, one.version), one)
        if other is not one:
            version = f" (version {one.version})" if one.version != 1 else ""
            what, also, remedy = f"{one.kind} {one.name!r}{version}", f"a {one.kind} of the same name", None
            if one.name == _ANY:
                what = also = f"a dynamic {one.kind}"
                remedy = f"one of them, which takes every name that no other {one.kind} has"
            yield Finding(
                path=one.path,
                line=one.line,
                column=one.column,
                what=what,
                why=f"{other.path}:{other.line}:{other.column} defines {also}",
                instead=remedy or _REMEDIES[one.kind],
                function="",
                workflow="",
            )


def _decorated(body: Iterable[ast.stmt], scope: Scope) -> Iterator[tuple[ast.expr, FunctionNode, Scope]]:
    """The decorators of functions, also where they are called, as in `charge = step(name="charge")(charge_card)`."""
    for statement in body:
        match statement:
            case ast.ClassDef(body=members):
                yield from _decorated(members, scope.child(statement))
            case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
                yield from ((decorator, statement, scope) for decorator in decorators)
            case (
                ast.Assign(value=ast.Call(args=[given]) as call)
                | ast.AnnAssign(value=ast.Call(args=[given]) as call)
                | ast.Expr(value=ast.Call(args=[given]) as call)
            ):
                decorator = call.func if not call.keywords else call
                match scope.resolve(given):
                    case [Function(node=function)]:
                        yield decorator, function, scope


def _options(decorator: ast.expr, scope: Scope) -> dict[str, object] | None:
    """The options of `workflow` or `step` that say which it is. None: they are known only when the module runs."""
    if not isinstance(decorator, ast.Call):
        return None if any(name.endswith("()") for name in scope.dotted(decorator)) else {}
    options: dict[str, object] = {}
    for keyword in decorator.keywords:
        if keyword.arg is None:
            return None
        if keyword.arg in ("name", "version", "dynamic"):
            if not isinstance(keyword.value, ast.Constant):
                return None
            options[keyword.arg] = keyword.value.value
    return options

"""Which calls do nothing unless they are awaited, as far as a module's text tells."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from worldflow.determinism.names import Function, Scope

IsCall = Callable[[Function], bool]

_AWAITABLE = frozenset(
    {
        *(f"worldflow.{name}" for name in ("sleep", "wait_for_signal")),
        *(f"asyncio.{name}" for name in ("gather", "shield", "sleep", "wait", "wait_for")),
    }
)


class Awaits:
    """Of one module."""

    def __init__(self, tree: ast.Module, scope: Scope, is_step_or_workflow: IsCall) -> None:
        self._is_call = is_step_or_workflow
        awaited = (
            node.value.func
            for node in ast.walk(tree)
            if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)
        )
        names = (name for function in awaited for name in scope.dotted(function))
        # Of the other modules: what is awaited once is to be awaited everywhere. A hook or a task need not be.
        self._imported = {
            name for name in names if "()" not in name and not name.startswith(("asyncio.", "worldflow."))
        }

    def left(self, expression: ast.expr, scope: Scope) -> Iterator[ast.Call]:
        """The calls that an expression gives and that should have been awaited."""
        match expression:
            case ast.Call():
                if self._is_awaitable(expression.func, scope):
                    yield expression
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self.left(value, scope)
            case ast.IfExp(body=body, orelse=other):
                yield from self.left(body, scope)
                yield from self.left(other, scope)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                for element in elements:
                    yield from self.left(element, scope)

    def _is_awaitable(self, function: ast.expr, scope: Scope) -> bool:
        match function:
            case ast.Call(func=ast.Attribute(value=definition, attr="options")):
                return any(isinstance(found, Function) and self._is_call(found) for found in scope.resolve(definition))
        return any(
            self._is_call(target) or _is_coroutine_function(target)
            if isinstance(target, Function)
            else isinstance(target, str) and (target in _AWAITABLE or target in self._imported)
            for target in scope.resolve(function)
        )


def _is_coroutine_function(function: Function) -> bool:
    node = function.node
    return isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list and not _yields(node)


def _yields(node: ast.AST) -> bool:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)) and _yields(child):
            return True
    return False

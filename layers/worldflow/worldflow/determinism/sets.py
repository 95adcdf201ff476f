"""Which expressions give a set whose order differs from process to process.

Strings hash differently in each process, and so does nearly all that is made of them. Small numbers do not, nor do the
tasks and the calls of steps of a workflow, which hash by the order in which they were made.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from worldflow.determinism.names import Function, Scope, Value

_SET_METHODS = frozenset({"copy", "difference", "intersection", "symmetric_difference", "union"})
_SET_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)
_SET_TYPES = frozenset(
    {
        "builtins.set",
        "builtins.frozenset",
        "typing.Set",
        "typing.FrozenSet",
        "typing.AbstractSet",
        "typing.MutableSet",
        "collections.abc.Set",
        "collections.abc.MutableSet",
    }
)
_ORDERED_TYPES = frozenset({"builtins.int", "builtins.float", "builtins.bool", "asyncio.Task", "asyncio.Future"})
_ORDERED_CALLS = frozenset({"builtins.int", "builtins.float", "builtins.bool", "builtins.len", "builtins.round"})
_TASK_MAKERS = frozenset({"create_task", "ensure_future", "shield", "start_soon"})

IsStep = Callable[[Function], bool]


class Sets:
    """Answers about the sets of one module."""

    def __init__(self, is_step: IsStep) -> None:
        self._is_step = is_step
        self._asked: list[tuple[Scope, str]] = []
        """The names whose values are being looked at: a name may be given a value that is made of itself."""

    def unordered(self, expression: ast.expr, scope: Scope) -> bool:
        """Whether an expression gives a set that has another order in another process."""

        def again(other: ast.expr) -> bool:
            return self.unordered(other, scope)

        match expression:
            case ast.Set(elts=elements):
                return not all(self._ordered(element, scope) for element in elements)
            case ast.SetComp(elt=element):
                return not self._ordered(element, scope.child(expression))
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _SET_METHODS:
                return again(value)
            case ast.Call(func=function, args=arguments) if set(scope.dotted(function)) & _SET_TYPES:
                return bool(arguments) and not self._ordered_elements(arguments[0], scope)
            case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _SET_OPERATORS):
                return again(left) or (again(right) and not isinstance(operator, ast.Sub)) or _are_keys(left, right)
            case ast.IfExp(body=body, orelse=other):
                return again(body) or again(other)
            case ast.NamedExpr(value=value):
                return again(value)
            case ast.Name(id=name):
                with self._values(name, scope) as (owner, values):
                    return any(self._is_unordered_value(value, name, owner) for value in values or ())
        return False

    @contextmanager
    def _values(self, name: str, scope: Scope) -> Iterator[tuple[Scope, list[Value] | None]]:
        """All that a name may be, and where; nothing, if that cannot be told; None, if it is being asked already."""
        owner, bindings = scope.find(name) or (scope, [])
        values = [binding for binding in bindings if isinstance(binding, Value)]
        if (owner, name) in self._asked:
            yield owner, None
            return
        if len(values) != len(bindings):
            yield owner, []
            return
        self._asked.append((owner, name))
        try:
            yield owner, values
        finally:
            self._asked.pop()

    def _is_unordered_value(self, binding: Value, name: str, scope: Scope) -> bool:
        if binding.annotation is not None:
            return self._is_unordered_type(binding.annotation, scope)
        if binding.value is None:
            return False
        if self.unordered(binding.value, scope):
            return True
        match binding.value:
            case ast.Call(func=function, args=[]) if set(scope.dotted(function)) & _SET_TYPES:
                return not all(self._ordered(added, scope) for added in _added(name, scope.node))
        return False

    def _is_unordered_type(self, annotation: ast.expr, scope: Scope) -> bool:
        match annotation:
            case ast.Constant(value=str(text)):
                try:
                    return self._is_unordered_type(ast.parse(text, mode="eval").body, scope)
                except SyntaxError:
                    return False
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._is_unordered_type(left, scope) or self._is_unordered_type(right, scope)
            case ast.Subscript(value=kind) if set(scope.dotted(kind)) & _SET_TYPES:
                return not self._is_ordered_type(_argument(annotation), scope)
        return False

    def _is_ordered_type(self, annotation: ast.expr | None, scope: Scope) -> bool:
        """Whether values of a type hash the same everywhere."""
        if isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        return annotation is not None and bool(set(scope.dotted(annotation)) & _ORDERED_TYPES)

    def _ordered_elements(self, iterable: ast.expr, scope: Scope) -> bool:
        """Whether what `set()` is made of hashes the same everywhere."""
        match iterable:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return all(self._ordered(element, scope) for element in elements)
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
                return self._ordered(element, scope.child(iterable))
            case ast.Call(func=function):
                return "builtins.range" in scope.dotted(function)
            case ast.Name(id=name):
                with self._values(name, scope) as (owner, values):
                    return values is None or (
                        bool(values)
                        and all(
                            self._is_ordered_type(_argument(value.annotation), owner)
                            or (
                                isinstance(value.value, (ast.List, ast.Tuple, ast.ListComp))
                                and self._ordered_elements(value.value, owner)
                            )
                            for value in values
                        )
                    )
        return False

    def _ordered(self, element: ast.expr, scope: Scope) -> bool:
        """Whether an element of a set hashes the same everywhere."""
        match element:
            case ast.Constant(value=value):
                return isinstance(value, (int, float, complex))
            case ast.Starred(value=value):
                return self._ordered_elements(value, scope)
            case ast.UnaryOp(operand=operand):
                return self._ordered(operand, scope)
            case ast.BinOp(left=left, right=right):
                return self._ordered(left, scope) and self._ordered(right, scope)
            case ast.Tuple(elts=elements):
                return all(self._ordered(each, scope) for each in elements)
            case ast.Name(id=name):
                with self._values(name, scope) as (owner, values):
                    return values is None or (
                        bool(values)
                        and all(
                            self._is_ordered_type(value.annotation, owner)
                            or (value.value is not None and self._ordered(value.value, owner))
                            for value in values
                        )
                    )
            case ast.Call(func=function):
                if isinstance(function, ast.Attribute) and function.attr in _TASK_MAKERS:
                    return True
                targets = scope.resolve(function)
                return any(
                    self._is_step(target) if isinstance(target, Function) else target in _ORDERED_CALLS
                    for target in targets
                )
        return False


def _argument(annotation: ast.expr | None) -> ast.expr | None:
    """The X of `set[X]`."""
    return annotation.slice if isinstance(annotation, ast.Subscript) else None


def _are_keys(*operands: ast.expr) -> bool:
    """Whether one of these is `x.keys()` or `x.items()`, of which `&` and the like make sets."""
    return any(
        isinstance(operand, ast.Call)
        and isinstance(operand.func, ast.Attribute)
        and operand.func.attr in ("keys", "items")
        for operand in operands
    )


def _added(name: str, node: ast.AST) -> Iterable[ast.expr]:
    """What is added to a set of this name."""
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="add"), args=[added]) if owner == name:
                yield added

"""What the names in a module stand for, as far as its text tells: imports, its own functions and classes, aliases.

`resolve` gives dotted names as they would be imported: `dt.now` is `datetime.datetime.now` after `from datetime import
datetime as dt`. What a call returns has parentheses: `boto3.client().put_object`. What cannot be told, such as a
parameter, resolves to nothing.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that an import binds."""

    dotted: str


@dataclass(frozen=True, slots=True)
class Value:
    """A name that is bound to what an expression gives (None: that cannot be told) or that is annotated."""

    value: ast.expr | None
    annotation: ast.expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the module, and the scope that it is defined in."""

    node: FunctionNode
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the module; or an instance of it, which for the sake of a check is the same."""

    node: ast.ClassDef
    scope: Scope


Binding = Imported | Value | Function | Class
Target = str | Function | Class


class Scope:
    """The names that a module, function, class, lambda or comprehension binds, and the scope around it."""

    def __init__(self, node: ast.AST, parent: Scope | None = None) -> None:
        self.node = node
        self.parent = parent
        self.bindings: dict[str, list[Binding]] = {}
        self.stars: list[str] = []
        """Modules from which everything is imported."""
        self._children: dict[ast.AST, Scope] = {}
        _Collector(self).collect()

    def child(self, node: ast.AST) -> Scope:
        """The scope of something defined in this one."""
        if node not in self._children:
            self._children[node] = Scope(node, self)
        return self._children[node]

    @property
    def is_module(self) -> bool:
        return self.parent is None

    def find(self, name: str) -> tuple[Scope, list[Binding]] | None:
        """The scope that binds a name seen from this one, and all that it may be bound to."""
        scope: Scope | None = self
        while scope is not None:
            # The names of a class are not seen from its methods.
            if name in scope.bindings and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope, scope.bindings[name]
            scope = scope.parent
        return None

    def resolve(self, expression: ast.expr, _seen: frozenset[tuple[int, str]] = frozenset()) -> list[Target]:
        """All that an expression may stand for."""
        return list(dict.fromkeys(self._resolve(expression, _seen)))

    def dotted(self, expression: ast.expr) -> list[str]:
        """The dotted names that an expression may stand for."""
        return [target for target in self.resolve(expression) if isinstance(target, str)]

    def _resolve(self, expression: ast.expr, seen: frozenset[tuple[int, str]]) -> Iterator[Target]:
        match expression:
            case ast.Name(id=name):
                yield from self._resolve_name(name, seen)
            case ast.Attribute(value=value, attr=attribute):
                for target in self.resolve(value, seen):
                    if isinstance(target, str):
                        yield f"{target}.{attribute}"
                    elif isinstance(target, Class):
                        members = target.scope.child(target.node)
                        if attribute in members.bindings:
                            yield from members._resolve_name(attribute, seen)
            case ast.Call(func=function):
                for target in self.resolve(function, seen):
                    if isinstance(target, str):
                        yield f"{target}()"
                    elif isinstance(target, Class):
                        yield target
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                yield from self.resolve(value, seen)
            case ast.BinOp(left=value, op=ast.Div()):  # a path below a path
                yield from self.resolve(value, seen)
            case ast.IfExp(body=body, orelse=other):
                yield from self.resolve(body, seen)
                yield from self.resolve(other, seen)
            case ast.BoolOp(values=values):
                for value in values:
                    yield from self.resolve(value, seen)

    def _resolve_name(self, name: str, seen: frozenset[tuple[int, str]]) -> Iterator[Target]:
        found = self.find(name)
        if found is None:
            module = self
            while module.parent is not None:
                module = module.parent
            yield from (f"{star}.{name}" for star in module.stars)
            if hasattr(builtins, name):
                yield f"builtins.{name}"
            return
        scope, bindings = found
        if (id(scope), name) in seen:
            return
        for binding in bindings:
            match binding:
                case Imported(dotted):
                    yield dotted
                case Function() | Class():
                    yield binding
                case Value(value) if value is not None:
                    yield from scope.resolve(value, seen | {(id(scope), name)})


class _Collector(ast.NodeVisitor):
    """Finds what the body of a scope binds, and leaves the scopes inside it alone."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._outer: set[str] = set()

    def collect(self) -> None:
        node = self._scope.node
        if isinstance(node, _COMPREHENSIONS):
            for generator in node.generators:
                self._targets(generator.target)
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            arguments = node.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                self._bind(argument.arg, Value(None, argument.annotation))
            for rest in (arguments.vararg, arguments.kwarg):
                if rest is not None:
                    self._bind(rest.arg, Value(None))
        if isinstance(node, ast.Lambda):
            self.visit(node.body)
            return
        for statement in getattr(node, "body", []):
            self.visit(statement)
        for name in self._outer:
            self._scope.bindings.pop(name, None)

    def _bind(self, name: str, binding: Binding) -> None:
        self._scope.bindings.setdefault(name, []).append(binding)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self._outer.update(node.names)

    visit_Nonlocal = visit_Global

    def _targets(self, target: ast.expr, value: ast.expr | None = None) -> None:
        """Binds the names that are assigned to."""
        match target:
            case ast.Name(id=name):
                self._bind(name, Value(value))
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values: list[ast.expr | None] = [None] * len(targets)
                if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(targets):
                    values = [*value.elts]
                for one, its in zip(targets, values, strict=True):
                    self._targets(one, its)
            case ast.Starred(value=one):
                self._targets(one)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self._bind(alias.asname, Imported(alias.name))
            else:
                first = alias.name.partition(".")[0]
                self._bind(first, Imported(first))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self._scope.stars.append(module)
            else:
                self._bind(alias.asname or alias.name, Imported(f"{module}.{alias.name}"))

    def visit_FunctionDef(self, node: FunctionNode) -> None:
        self._bind(node.name, Function(node, self._scope))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, Class(node, self._scope))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        pass

    def _visit_comprehension(self, node: ast.AST) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):  # binds outside the comprehension
                self._targets(inner.target, inner.value)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_Assign(self, node: ast.Assign) -> None:
        for assigned in node.targets:
            self._targets(assigned, node.value)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._bind(node.target.id, Value(node.value, node.annotation))
        if node.value:
            self.visit(node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._targets(node.target, node.value)
        self.visit(node.value)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars:
                self._targets(item.optional_vars, item.context_expr)
        for statement in node.body:
            self.visit(statement)

    visit_AsyncWith = visit_With

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):  # the target of a `for`, mostly
            self._bind(node.id, Value(None))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, Value(None))
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name, Value(None))
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._bind(node.rest, Value(None))
        self.generic_visit(node)

"""Walks through workflows and what they use, and notes what no replay can do again."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence

from worldflow.determinism import rules
from worldflow.determinism.awaits import Awaits
from worldflow.determinism.definitions import definitions, is_entity, is_interceptor, kind_of
from worldflow.determinism.findings import Finding, Kind, Report
from worldflow.determinism.names import Class, Function, FunctionNode, Scope, Value
from worldflow.determinism.options import deprecated_options
from worldflow.determinism.rules import Rule
from worldflow.determinism.sets import Sets

_ALLOW = re.compile(r"#.*\bworldflow:\s*allow\b")
_WHAT_LIMIT = 60

_CONSTRUCTORS = ("__new__", "__init__", "__post_init__", "model_post_init")

_UNCARING = frozenset(
    f"builtins.{name}" for name in ("all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum")
)
"""Functions to which the order of what they are given is all the same."""

_ORDERING = frozenset(
    {
        *(f"builtins.{name}" for name in ("enumerate", "filter", "iter", "list", "map", "tuple", "zip")),
        *(f"itertools.{name}" for name in ("accumulate", "batched", "chain", "combinations", "cycle", "groupby")),
        *(f"itertools.{name}" for name in ("islice", "pairwise", "permutations", "product", "starmap")),
        "builtins.dict.fromkeys",
        "functools.reduce",
    }
)
"""Functions that hand on the order of what they are given."""
_ORDERING_METHODS = frozenset({"extend", "join"})

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def check(source: str, path: str) -> Report:
    """Checks the text of a module. Raises `SyntaxError` for what is not Python."""
    return _Module(source, path).report()


class _Module:
    """One module, and what has been found in it."""

    def __init__(self, source: str, path: str) -> None:
        self._path = path
        self._tree = ast.parse(source, path)
        self._lines = io.StringIO(source).readlines()
        self.scope = Scope(self._tree)
        self.sets = Sets(self.is_step)
        self.awaits = Awaits(
            self._tree, self.scope, lambda function: self.is_step(function) or self.is_workflow(function)
        )
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments = (token for token in tokens if token.type == tokenize.COMMENT)
        self._allowed = {token.start[0] for token in comments if _ALLOW.match(token.string)}
        self._findings: dict[tuple[int, int, str], Finding] = {}
        self.seen: set[ast.AST] = set()

    def report(self) -> Report:
        workflows = list(dict.fromkeys(self._workflows()))
        for workflow in workflows:
            _Walk(self, workflow.node.name).enter(workflow)
        for call, what, rule in deprecated_options(self._tree, lambda name: kind_of(name, self.scope) == "step"):
            self.find(call, what, rule, function="", workflow="")
        return Report(
            workflows=tuple(workflow.node.name for workflow in workflows),
            findings=tuple(self._findings[place] for place in sorted(self._findings)),
            definitions=tuple(definitions(self._tree, self.scope, self._place)),
        )

    def is_step(self, function: Function) -> bool:
        return _is_marked(function, "step")

    def is_workflow(self, function: Function) -> bool:
        return _is_marked(function, "workflow")

    def allows(self, node: ast.expr | ast.stmt) -> bool:
        return any(line in self._allowed for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))

    def find(self, node: ast.expr | ast.stmt, what: str, rule: Rule, function: str, workflow: str) -> None:
        if not self.allows(node):
            line, column = node.lineno, self._column(node)
            self._findings[line, column, what] = Finding(
                path=self._path,
                line=line,
                column=column,
                what=what,
                why=rule.why,
                instead=rule.instead.format(node=_text(node)),
                function=function,
                workflow=workflow,
                is_hint=rule.is_hint,
            )

    def _column(self, node: ast.expr | ast.stmt) -> int:
        return len(self._lines[node.lineno - 1].encode()[: node.col_offset].decode()) + 1

    def _place(self, decorator: ast.expr, function: FunctionNode) -> tuple[str, int, int] | None:
        if self.allows(decorator) or function.lineno in self._allowed:
            return None
        return self._path, decorator.lineno, self._column(decorator)

    def _workflows(self) -> Iterator[Function]:
        for function in _functions(self._tree, self.scope):
            if self.is_workflow(function):
                yield function
        for statement in self._tree.body:
            if isinstance(statement, ast.ClassDef):
                inside, is_all = self.scope.child(statement), is_entity(statement, self.scope)
                is_one = not is_all and is_interceptor(statement, self.scope)
                for each in statement.body:
                    if isinstance(each, ast.AsyncFunctionDef) and (is_all or (is_one and each.name == "run_workflow")):
                        yield Function(each, inside)
        for node in ast.walk(self._tree):
            # One that is not decorated, but given to `workflow`, as `workflow(name="order")(fulfil)`.
            match node:
                case ast.Call(func=decorator, args=[given]) if kind_of(decorator, self.scope) == "workflow":
                    yield from (each for each in self.scope.resolve(given) if isinstance(each, Function))


def _functions(node: ast.AST, scope: Scope) -> Iterator[Function]:
    """All functions that are defined somewhere in `node`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(child, scope)
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _functions(child, scope.child(child))
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _functions(child, scope)


def _is_marked(function: Function, kind: Kind) -> bool:
    return any(kind_of(decorator, function.scope) == kind for decorator in function.node.decorator_list)


class _Walk(ast.NodeVisitor):
    """A walk through one function. Whatever it uses of the module gets a walk of its own, once."""

    def __init__(self, module: _Module, workflow: str) -> None:
        self._module = module
        self._workflow = workflow
        self._function = workflow
        self._scope = module.scope
        self._order_is_fine: set[ast.expr] = set()

    def enter(self, function: Function) -> None:
        """Walks through a function of the module."""
        self._module.seen.add(function.node)
        self._scope, self._function = function.scope, function.node.name
        self._visit_function(function.node)

    def enter_class(self, of: Class) -> None:
        """Walks through what making an instance runs."""
        self._module.seen.add(of.node)
        members = of.scope.child(of.node)
        self._function = of.node.name
        for statement in of.node.body:
            for inner in ast.walk(statement) if not isinstance(statement, FunctionNode) else ():
                match inner:
                    case ast.keyword(arg="default_factory", value=factory):
                        self._visit_in(members, [factory])
        for name in _CONSTRUCTORS:
            for binding in members.bindings.get(name, ()):
                if isinstance(binding, Function):
                    self._follow(binding)

    # --- scopes ---

    def _visit_in(self, scope: Scope, nodes: Iterable[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        for node in nodes:
            self.visit(node)
        self._scope = outer

    def _visit_function(self, node: FunctionNode | ast.Lambda) -> None:
        defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
        self._visit_in(self._scope, defaults)
        self._visit_in(self._scope.child(node), node.body if isinstance(node.body, list) else [node.body])

    def visit_FunctionDef(self, node: FunctionNode) -> None:
        function = Function(node, self._scope)
        if self._module.is_step(function) or self._module.is_workflow(function):
            return
        self._module.seen.add(node)
        self._visit_in(self._scope, node.decorator_list)
        outer, self._function = self._function, node.name
        self._visit_function(node)
        self._function = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_in(self._scope, [*node.decorator_list, *node.bases])
        self._visit_in(self._scope.child(node), node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:  # and not the annotation, which is only text
            self.visit(node.value)

    def visit_Global(self, node: ast.Global) -> None:
        self._found(node, f"global {', '.join(node.names)}", rules.GLOBAL)

    # --- what is not awaited ---

    def visit_Expr(self, node: ast.Expr) -> None:
        for call in self._module.awaits.left(node.value, self._scope):
            self._found(call, _text(call), rules.UNAWAITED)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value and self._function == self._workflow:  # a helper's caller may await what the helper returns
            for call in self._module.awaits.left(node.value, self._scope):
                self._found(call, _text(call), rules.RETURNED)
        self.generic_visit(node)

    # --- names ---

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._visit_chain(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._visit_chain(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._check_order_of_arguments(node)
        self._visit_chain(node)

    def _visit_chain(self, node: ast.expr) -> None:
        """A name with all that is read from it and called of it, such as `client().get(url).json()`."""
        links = _links(node)
        flagged = self._flagged(links, self._scope, frozenset())
        if flagged is not None:
            link, what, rule = flagged
            if rule is not None:
                self._found(link, what, rule)
        elif not self._module.allows(node):
            for link in links:
                self._follow_link(link)
        if not isinstance(links[0], ast.Name):
            self.generic_visit(links[0])
        for link in links:
            if isinstance(link, ast.Call):
                if link is not node:
                    self._check_order_of_arguments(link)
                for argument in (*link.args, *(keyword.value for keyword in link.keywords)):
                    self.visit(argument)

    def _flagged(
        self, links: Sequence[ast.expr], scope: Scope, looking: frozenset[tuple[int, str]]
    ) -> tuple[ast.expr, str, Rule | None] | None:
        """The first link of a chain that is against a rule, and what to call it.

        There is no rule where all has been said already, of the value that was given to a name.
        """
        for link in links:
            if isinstance(link, ast.Call):
                arguments = 99 if any(isinstance(given, ast.Starred) for given in link.args) else len(link.args)
                arguments += len(link.keywords)
                found = [(_text(link), rules.called(name, arguments)) for name in scope.dotted(link.func)]
            elif isinstance(link, (ast.Name, ast.Attribute)):
                found = [(name.removeprefix("builtins."), rules.mentioned(name)) for name in scope.dotted(link)]
            else:
                continue
            if isinstance(link, ast.Name) and (assigned := self._assigned(link, scope, looking)):
                return link, link.id, assigned[0]
            for what, rule in found:
                if rule is not None:
                    return link, what, rule
        return None

    def _assigned(self, name: ast.Name, scope: Scope, looking: frozenset[tuple[int, str]]) -> tuple[Rule | None] | None:
        """What is wrong with the value that a name is given."""
        place = scope.find(name.id)
        if place is None or (id(place[0]), name.id) in looking:
            return None
        owner, bindings = place
        looking |= {(id(owner), name.id)}
        for binding in bindings:
            if not isinstance(binding, Value) or binding.value is None:
                continue
            links = _links(binding.value.value if isinstance(binding.value, ast.Await) else binding.value)
            if not owner.is_module:
                if self._flagged(links, owner, looking):
                    return (None,)
                continue
            for link in links:
                if isinstance(link, ast.Call):
                    for dotted in owner.dotted(link.func):
                        rule = rules.made_at_import(dotted, len(link.args) + len(link.keywords))
                        if rule is not None:
                            return (rule,)
        return None

    def _follow_link(self, link: ast.expr) -> None:
        if isinstance(link, ast.Call):
            for target in self._scope.resolve(link.func):
                if isinstance(target, Class) and target.node not in self._module.seen:
                    _Walk(self._module, self._workflow).enter_class(target)
        elif isinstance(link, (ast.Name, ast.Attribute)):
            for target in self._scope.resolve(link):
                if isinstance(target, Function):
                    self._follow(target)

    def _follow(self, function: Function) -> None:
        module = self._module
        if function.node in module.seen or module.is_step(function) or module.is_workflow(function):
            return
        _Walk(module, self._workflow).enter(function)

    # --- the order of sets ---

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._check_order(node.iter)
        self.generic_visit(node)

    visit_AsyncFor = visit_For

    def visit_Starred(self, node: ast.Starred) -> None:
        if node not in self._order_is_fine:
            self._check_order(node.value)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._order_is_fine.update(element for element in node.elts if isinstance(element, ast.Starred))
        self.generic_visit(node)

    def _visit_comprehension(self, node: _Comprehension) -> None:
        is_fine = node in self._order_is_fine or isinstance(node, ast.SetComp)
        if any(isinstance(inner, ast.Await) for inner in ast.walk(node)):
            is_fine = False
        inside = self._scope.child(node)
        for number, generator in enumerate(node.generators):
            outer, self._scope = self._scope, inside if number else self._scope
            if not is_fine:
                self._check_order(generator.iter)
            self.visit(generator.iter)
            self._scope = outer
            self._visit_in(inside, generator.ifs)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._visit_in(inside, elements)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def _check_order_of_arguments(self, call: ast.Call) -> None:
        functions = set(self._scope.dotted(call.func))
        if functions & _UNCARING or call in self._order_is_fine:
            self._order_is_fine.update(
                given for given in call.args if isinstance(given, (*_COMPREHENSIONS, ast.Call, ast.Starred))
            )
            return
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if functions & _ORDERING or method in _ORDERING_METHODS:
            for given in call.args:
                self._check_order(given)
        elif method == "pop" and not call.args and isinstance(call.func, ast.Attribute):
            self._check_order(call.func.value)

    def _check_order(self, expression: ast.expr) -> None:
        if self._module.sets.unordered(expression, self._scope):
            self._found(expression, f"the order of {_text(expression)}", rules.SET_ORDER)

    def _found(self, node: ast.expr | ast.stmt, what: str, rule: Rule) -> None:
        self._module.find(node, what, rule, self._function, self._workflow)


def _links(node: ast.expr) -> list[ast.expr]:
    """The links of a chain of attributes and calls, the first first."""
    links = [node]
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
        links.append(node)
    return links[::-1]


def _text(node: ast.expr | ast.stmt) -> str:
    text = f"{ast.unparse(node.func)}()" if isinstance(node, ast.Call) else ast.unparse(node)
    return text if len(text) <= _WHAT_LIMIT else f"{text[: _WHAT_LIMIT - 1]}…"

"""Which methods of the gateways send a query.

A method names a query as a string, itself or in a table of its module, and calls other methods of
its gateway. Both are read off the source; nothing is run.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_library
from cardlink_sql.review.expected import gateway_classes

_PACKAGE: Final = "cardlink_sql"
# The methods that note what was written for the events, in words of their own.
_NOTES: Final = "_note"


@dataclass(frozen=True, order=True)
class Sender:
    """A public method that sends a query.

    Attributes:
        method: such as ``SessionGateway.find_active``.
        where: ``file:line`` of its definition.
    """

    method: str
    where: str


@dataclass(frozen=True)
class Senders:
    """Who sends a query.

    Attributes:
        named: the methods that name it, themselves or by a private helper.
        through: the methods that call one of these, however far.
    """

    named: tuple[Sender, ...]
    through: tuple[Sender, ...]


@dataclass(frozen=True)
class _Method:
    """What the source of a method says.

    Attributes:
        where: ``file:line`` of its definition.
        strings: the strings that may name a query.
        calls: the methods of its own gateway that it calls.
        extends: the methods of a base class that it calls by ``super()``.
    """

    where: str
    strings: frozenset[str]
    calls: frozenset[str]
    extends: frozenset[str]


@cache
def senders(gateway: str) -> dict[str, Senders]:
    """Who sends each query of a gateway, by the query's name.

    Args:
        gateway: the name of its SQL file.
    """
    made = gateway_classes()[gateway]
    methods = _methods(made)
    libraries = [load_library(dialect) for dialect in Dialect]
    queries = sorted({name for library in libraries for name in library.gateway(gateway)})
    return {query: _senders(made.__name__, methods, query) for query in queries}


def _senders(gateway: str, methods: dict[str, _Method], query: str) -> Senders:
    naming = {name for name, method in methods.items() if query in method.strings}
    # A private helper sends in the name of who calls it.
    named = _with_callers(naming, methods, _is_private)
    every = _with_callers(named, methods, lambda _name: True)
    return Senders(_public(gateway, methods, named), _public(gateway, methods, every - named))


def _with_callers(
    names: set[str], methods: dict[str, _Method], goes_on: Callable[[str], bool]
) -> set[str]:
    """These methods and who calls them, and so on behind each for which ``goes_on`` holds."""
    found, waiting = set(names), sorted(names)
    while waiting:
        called = waiting.pop()
        if goes_on(called):
            callers = {name for name, method in methods.items() if called in method.calls}
            waiting += sorted(callers - found)
            found |= callers
    return found


def _public(gateway: str, methods: dict[str, _Method], names: set[str]) -> tuple[Sender, ...]:
    return tuple(
        Sender(f"{gateway}.{name}", methods[name].where)
        for name in sorted(names)
        if not _is_private(name)
    )


def _is_private(name: str) -> bool:
    return name.startswith("_")


def _methods(gateway: type[Any]) -> dict[str, _Method]:
    """The methods of a gateway, those of its base classes included."""
    found: dict[str, _Method] = {}
    for owner in reversed(gateway.__mro__):
        if owner.__module__.startswith(_PACKAGE):
            for name, method in _own_methods(owner).items():
                is_extended = name in found and name in method.extends
                found[name] = _merged(found[name], method) if is_extended else method
    return found


def _merged(base: _Method, method: _Method) -> _Method:
    strings, calls = base.strings | method.strings, base.calls | method.calls
    return _Method(method.where, strings, calls, method.extends)


@cache
def _own_methods(owner: type[Any]) -> dict[str, _Method]:
    """The methods that a class itself defines."""
    file = f"{owner.__module__.replace('.', '/')}.py"
    module = sys.modules[owner.__module__]
    tree = ast.parse(inspect.getsource(module))
    body = next(
        n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == owner.__name__
    )
    made = {}
    for method in body:
        if isinstance(method, ast.FunctionDef):
            reader = _Reader(module)
            reader.generic_visit(method)
            parts = (reader.strings, reader.calls, reader.extends)
            made[method.name] = _Method(f"{file}:{method.lineno}", *map(frozenset, parts))
    return made


class _Reader(ast.NodeVisitor):
    """Reads a method: the strings that may name a query, and the methods that it calls."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.strings: set[str] = set()
        self.calls: set[str] = set()
        self.extends: set[str] = set()

    def visit_Constant(self, node: ast.Constant) -> None:
        """A string."""
        if isinstance(node.value, str):
            self.strings.add(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        """A name, which may be that of a table of the module."""
        table = vars(self._module).get(node.id)
        if isinstance(table, dict):
            self.strings.update(value for value in table.values() if isinstance(value, str))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """``self.method`` or ``super().method``."""
        match node.value:
            case ast.Name(id="self"):
                self.calls.add(node.attr)
            case ast.Call(func=ast.Name(id="super")):
                self.extends.add(node.attr)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """What a name is compared with sends nothing."""
        self._visit_without_strings(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A call."""
        match node.func:
            case ast.Attribute(attr=name) if name.startswith(_NOTES):
                self._visit_without_strings(node)
            case _:
                self.generic_visit(node)

    def _visit_without_strings(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.Constant):
                self.visit(child)

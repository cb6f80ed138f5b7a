"""Reads public signatures: which of our own types they name, and which of these a user can import.

Annotations are read as text, since half of them are imported for type checkers only.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType, ModuleType

__all__ = ["DISTRIBUTION", "exports", "is_public", "leaks", "public_modules"]

DISTRIBUTION = (
    "llm_mesh_django",
    "llm_mesh_flask",
    "llm_mesh_httpx",
    "llm_mesh_kubernetes",
    "llm_mesh_middleware",
    "llm_mesh_pytest",
)


def is_public(module: str) -> bool:
    """Return whether no part of the module's name begins with an underscore."""
    return not any(part.startswith("_") for part in module.split("."))


def public_modules(packages: Iterable[str] = DISTRIBUTION) -> list[ModuleType]:
    """Import every public module of `packages`."""
    found = []
    for package in packages:
        root = importlib.import_module(package)
        found.append(root)
        names = [info.name for info in pkgutil.walk_packages(root.__path__, f"{package}.")]
        found += [importlib.import_module(name) for name in names if is_public(name)]
    return found


def exports(modules: Iterable[ModuleType]) -> dict[int, str]:
    """Return the identity of everything in an `__all__`, with the name to import it by."""
    return {
        id(getattr(module, name)): f"{module.__name__}.{name}"
        for module in modules
        for name in getattr(module, "__all__", ())
    }


Handles = Mapping[str, set[str]]
"""The members that a caller may use, of classes that only the mesh makes."""


def leaks(
    module: ModuleType, exported: Mapping[int, str], handles: Handles = MappingProxyType({})
) -> dict[str, set[str]]:
    """Return the signatures of a module that name types of ours which no public module exports."""
    found: dict[str, set[str]] = {}
    for name in getattr(module, "__all__", ()):
        for where, texts, home in _signatures(name, getattr(module, name), module, handles):
            private = {
                each.__qualname__
                for text in texts
                for each in _classes(text, home)
                if _is_ours(each) and id(each) not in exported
            }
            if private:
                found.setdefault(where, set()).update(private)
    return found


def _signatures(
    name: str, value: object, module: ModuleType, handles: Handles
) -> Iterator[tuple[str, list[object], str]]:
    """Give each signature of an exported value: its name, its annotations, their module."""
    if inspect.isclass(value):
        if _is_ours(value):
            yield from _class_signatures(name, value, handles.get(name))
    elif inspect.isfunction(inspect.unwrap(value) if callable(value) else value):
        function = inspect.unwrap(value)  # type: ignore[arg-type]
        yield name, list(inspect.get_annotations(function).values()), function.__module__
    elif typing.get_args(value):  # an alias
        yield name, [value], module.__name__


def _class_signatures(
    name: str, cls: type, offered: Container[str] | None
) -> Iterator[tuple[str, list[object], str]]:
    def is_offered(member: str) -> bool:
        if offered is not None:
            return member in offered
        return not member.startswith("_") or member in ("__init__", "__call__", "__enter__")

    for base in cls.__mro__:
        if not _is_ours(base):
            continue
        home = _home(base)
        fields = inspect.get_annotations(base).items()
        yield name, [text for field, text in fields if is_offered(field)], home
        for member, value in vars(base).items():
            if not is_offered(member):
                continue
            function = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
            function = getattr(function, "func", function)  # a cached_property
            if inspect.isfunction(function):
                annotations = list(inspect.get_annotations(function).values())
                yield f"{name}.{member}", annotations, function.__module__


@cache
def _home(cls: type) -> str:
    """Return the module that defines a class; `__module__` may show where it is imported from."""
    name = cls.__name__
    for module in list(sys.modules.values()):
        if vars(module).get(name) is cls and name in _class_names(module.__name__):
            return module.__name__
    return cls.__module__


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in DISTRIBUTION


def _classes(annotation: object, module: str) -> Iterator[type]:
    """Find the classes that an annotation names, those inside an alias included."""
    if isinstance(annotation, str):
        for name in _names(annotation):
            yield from _classes(_resolve(name, module), module)
    elif inspect.isclass(annotation) and not typing.get_args(annotation):
        yield annotation
    elif typing.get_origin(annotation) is not typing.Literal:
        for argument in typing.get_args(annotation):
            for each in argument if isinstance(argument, list) else [argument]:
                yield from _classes(each, module)


@cache
def _names(annotation: str) -> tuple[str, ...]:
    """Return the dotted names in an annotation, without the words of a `Literal`."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Attribute | ast.Name):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
            return
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.extend(_names(node.value))
        else:
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(annotation, mode="eval"))
    return tuple(found)


def _resolve(name: str, module: str) -> object:
    """Return what a name means in a module, imports for type checkers included."""
    first, *rest = name.split(".")
    space = vars(sys.modules[module])
    if first in space:
        value = space[first]
    elif first in _imports(module):
        source, attribute = _imports(module)[first]
        value = importlib.import_module(source)
        value = getattr(value, attribute) if attribute else value
    else:
        value = getattr(__import__("builtins"), first, None)
    for attribute in rest:
        value = getattr(value, attribute, None)
    return value


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


@cache
def _class_names(module: str) -> frozenset[str]:
    if module.partition(".")[0] not in DISTRIBUTION:
        return frozenset()
    tree = _tree(module)
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))


@cache
def _imports(module: str) -> dict[str, tuple[str, str | None]]:
    """Return the names that a module imports anywhere: their module, and their name in it."""
    found: dict[str, tuple[str, str | None]] = {}
    package = sys.modules[module].__package__ or ""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(relative, package) if node.level else relative
            found |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                found[alias.asname or first] = (alias.name if alias.asname else first, None)
    return found

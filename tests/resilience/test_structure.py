"""A driver only carries out steps; when it grows, decisions have leaked out of the core."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import get_args

import pytest

import llm_mesh_middleware
from llm_mesh_middleware._core.values.steps import Step
from llm_mesh_middleware._engine.drivers import async_driver
from llm_mesh_middleware._engine.drivers import driver as sync_driver

PACKAGE = Path(llm_mesh_middleware.__file__).parent
DRIVERS = sorted((PACKAGE / "_engine" / "drivers").glob("*driver.py"))
_SPACE = frozenset(
    (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(source: str) -> int:
    """The lines that hold code: no blank ones, comments or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SPACE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


def test_the_count_is_of_code_alone() -> None:
    source = '"""What\n\nit is."""\n\n# why\nx = (\n    1,  # one\n)\n\n\ndef f():\n    """F."""\n'
    assert code_lines(source) == 4


def test_there_is_a_driver() -> None:
    assert PACKAGE / "_engine" / "drivers" / "async_driver.py" in DRIVERS


def functions(source: str) -> dict[str, int]:
    """The lines of code of each function, its signature included."""
    return {
        node.name: code_lines(ast.unparse(node))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda path: path.name)
def test_a_driver_only_carries_out_steps(driver: Path) -> None:
    source = driver.read_text()
    assert code_lines(source) < 200
    assert {name: size for name, size in functions(source).items() if size > 20} == {}


def test_both_drivers_carry_out_the_same_steps() -> None:
    assert async_driver._PERFORM.keys() == sync_driver._PERFORM.keys() == set(get_args(Step))

"""What is read of a file of callgrind's."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.road import COUNTS, calls_by_function, counts_of

FILE = """\
# callgrind format
events: Ir
fl=(1) ceval.c
fn=(7) _PyEval_EvalFrameDefault'2
cfn=(8) _Py_NewReference
calls=12 0
4 900
cfn=(9) write
calls=2 0
5 100
fn=(8)
6 1
fn=(10) make_gen
cfn=(8)
calls=4 0
7 300
cfn=(7)
calls=1 0
7 300
totals: 8000
"""


def test_calls_are_added_up_by_function_whoever_calls() -> None:
    calls = calls_by_function(FILE.splitlines(keepends=True))
    assert calls == {"_Py_NewReference": 16, "write": 2, "_PyEval_EvalFrameDefault": 1}


def test_figures_are_of_one_call(tmp_path: Path) -> None:
    file = tmp_path / "counted"
    file.write_text(FILE)
    figures = counts_of(file, 2)
    assert figures.keys() == {"thousands of instructions", *COUNTS}
    assert figures["thousands of instructions"] == 4.0
    assert figures["objects"] == 8.0
    assert figures["writes"] == 1.0
    assert figures["tasks"] == 0.0

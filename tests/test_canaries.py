"""The search for keys in what the tests leave behind finds them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canaries import PIECE, canary, leaks, pytest_runtest_makereport
from tests.processes import ROOT
from tests.rows import rows

KEY = canary("of this test")
SECRET = KEY.removeprefix("sk-canary-")
LEAKING = """
import logging, subprocess, sys
from tests.canaries import canary, watched

PIECE = canary("leaked")[-8:]

def test_print():
    print("a", PIECE)

def test_log():
    logging.getLogger("x").warning("a %s", PIECE)

def test_process():
    subprocess.run([sys.executable, "-c", f"print({PIECE!r})"], check=True)

def test_answer():
    watched("an answer", b"Bearer " + PIECE.encode())

def test_nothing():
    print("a", PIECE[1:])
"""


# What is installed beside it takes longer to load than these tests to run.
PLAIN = (
    "-p",
    "no:langsmith_plugin",
    "-p",
    "no:faker",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:xdist",
)


@rows("at", range(len(SECRET) - PIECE + 1))
def test_any_eight_characters_are_found(at: int) -> None:
    assert "of this test" in leaks(f"Bearer {SECRET[at : at + PIECE]}.")
    assert "of this test" in leaks(SECRET[at : at + PIECE].encode())


def test_seven_characters_are_not() -> None:
    assert not leaks(SECRET[:7] + "-" + SECRET[7:14] + "-" + SECRET[14:])


def test_every_test_is_searched(request: pytest.FixtureRequest) -> None:
    hooks = request.config.hook.pytest_runtest_makereport.get_hookimpls()
    assert pytest_runtest_makereport in [hook.function for hook in hooks]


@pytest.mark.slow
def test_a_test_that_leaks_fails_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.canaries import pytest_runtest_makereport")
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *PLAIN,
        "--rootdir=.",
        ".",
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)

    assert "5 passed, 4 errors" in done.stdout
    named = re.findall(r"^ERROR test_leaking.py::(\w+)", done.stdout, re.MULTILINE)
    assert named == ["test_print", "test_log", "test_process", "test_answer"]
    assert "a piece of the key 'leaked' is in Captured stdout call" in done.stdout

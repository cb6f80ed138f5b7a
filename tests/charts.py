"""Helm for tests: the library that a wheel brings, in a process of its own.

    python -m tests.charts lint DIRECTORY VALUES     the findings as JSON
    python -m tests.charts render DIRECTORY VALUES   path to manifest as JSON

It is written in Go, whose threads and signal handlers must not get into the tests' own process.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def helm(command: str, chart: Path, **values: Any) -> Any:
    """Lint or render a chart; a chart that cannot be rendered is a `ChartError`."""
    if importlib.util.find_spec("helm_python") is None:
        pytest.skip("there is no Helm: `.ci/run` installs helm-python-sdk where it has a wheel")
    done = subprocess.run(
        [sys.executable, "-m", "tests.charts", command, str(chart), json.dumps(values)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent,
    )
    if done.returncode:
        raise ChartError(done.stderr)
    return json.loads(done.stdout)


class ChartError(Exception):
    """What Helm says of values or templates that it cannot use."""


def _main(command: str, chart: str, values: str) -> None:
    import helm_python

    if command == "lint":
        print(json.dumps(helm_python.lint(chart, json.loads(values), strict=True)))  # noqa: T201
        return
    with helm_python.Chart.load(chart) as loaded:
        loaded.validate_schema(json.loads(values))
        found = loaded.render(json.loads(values), name="llm-mesh", namespace="team")
        print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])

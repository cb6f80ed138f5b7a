"""`flask llm-mesh`: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MANIFESTS
from tests.flask.application import make

BROKEN = "apiVersion: istio.alibabacloud.com/v1\nkind: LLMProvider\nspec: {hots: x}\n"

APP = """\
import flask
from llm_mesh_flask import LLMMesh

app = flask.Flask("app")
app.config["LLM_MESH_CONFIG"] = "mesh.yaml"
LLMMesh(app)
"""


def test_validate_looks_at_the_manifests_of_the_application() -> None:
    runner = make(LLM_MESH_CONFIG=MANIFESTS).test_cli_runner()
    done = runner.invoke(args=["llm-mesh", "validate"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "virtual hosts: " in done.stderr
    assert "dashscope.aliyuncs.com" in done.stderr


def test_validate_looks_at_other_manifests_too(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(BROKEN)
    runner = make(LLM_MESH_CONFIG=MANIFESTS).test_cli_runner()
    done = runner.invoke(args=["llm-mesh", "validate", str(path)])
    assert done.exit_code == 1
    assert f"{path}:3:8: spec.hots: unknown field" in done.stdout


@pytest.mark.parametrize("command", [["llm-mesh", "validate"], ["shell"]])
def test_a_flask_command_ends_with_the_problems_and_no_traceback(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "mesh.yaml").write_text(BROKEN)
    (tmp_path / "app.py").write_text(APP)
    path = os.pathsep.join(filter(None, [str(tmp_path), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-m", "flask", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        input="",
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "mesh.yaml:3:8: spec.hots: unknown field" in done.stderr
    assert "Traceback" not in done.stderr

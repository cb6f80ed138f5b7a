"""`flask llm-mesh`: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MANIFESTS, slow
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


def test_explain_tells_which_rule_takes_a_request() -> None:
    runner = make(LLM_MESH_CONFIG=MANIFESTS).test_cli_runner()
    asked = ["llm-mesh", "explain", "--host", DASHSCOPE, "-H", "user-type: subscriber"]
    done = runner.invoke(args=asked)
    assert done.exit_code == 0, done.output
    assert "selected  vip-route" in done.stdout
    told = json.loads(runner.invoke(args=[*asked, "--json"], input="").stdout)
    assert told["rule"] == "vip-route"
    assert DASHSCOPE_KEY not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--host", "unknown.example"], 1, "refused"),
        (["--host", DASHSCOPE, "-H", "no colon"], 2, "a header is written 'name: value'"),
        (
            ["--host", DASHSCOPE, "-d", "@no-such-file"],
            2,
            "cannot read the body no-such-file: No such file",
        ),
    ],
)
def test_explain_ends_with_a_code_that_says_why(arguments: list[str], code: int, told: str) -> None:
    runner = make(LLM_MESH_CONFIG=MANIFESTS).test_cli_runner()
    done = runner.invoke(args=["llm-mesh", "explain", *arguments])
    assert done.exit_code == code
    assert told in done.output


@pytest.mark.slow
@pytest.mark.parametrize("command", [["llm-mesh", "validate"], *slow(["shell"])])
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

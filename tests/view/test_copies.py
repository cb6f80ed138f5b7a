"""What the explain form gives to copy: a test that passes, and commands that a shell takes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.view._web.explain_form import explain_form
from tests.conftest import DASHSCOPE, DEMO, MANIFESTS
from tests.processes import ROOT
from tests.rows import rows
from tests.view.conftest import PATH

FORMS: dict[str, dict[str, Any]] = {
    "a rule by a header": {
        "host": DASHSCOPE,
        "path": "/",
        "headers": [["user-type", "subscriber"]],
    },
    "the rule behind it": {"host": DASHSCOPE, "path": PATH, "body": '{"model": "it\'s"}'},
    "a split": {"host": DEMO, "path": PATH, "attributes": {"plan": "pro 'x' \\ \"y\" 漢"}},
    "no such host": {"host": 'no"""where', "path": PATH},
    "no such path": {"host": DEMO, "path": "/v1/nothing"},
    "a body that is no JSON": {"host": DEMO, "path": PATH, "body": '"""\n{'},
}


def copies(form: dict[str, Any], **settings: object) -> dict[str, str]:
    made = MeshSettings(config=(str(MANIFESTS),), **settings)  # type: ignore[arg-type]
    told = json.loads(explain_form(Mesh(settings=made), json.dumps(form).encode()))
    texts: dict[str, str] = told["copies"]
    return texts


@pytest.mark.slow
def test_the_copied_tests_pass(tmp_path: Path) -> None:
    for number, form in enumerate(FORMS.values()):
        text = copies(form, labels={"app": "x"})["pytest"]
        (tmp_path / f"test_copied_{number}.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "."],
        cwd=tmp_path,
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}",
            "PYTEST_ADDOPTS": "-p llm_mesh_pytest",
        },
        capture_output=True,
        text=True,
    )
    assert f"{len(FORMS)} passed" in done.stdout, done.stdout + done.stderr


@rows("form", FORMS.values(), ids=FORMS)
def test_copied_commands_are_words_for_a_shell(form: dict[str, Any]) -> None:
    told = copies(form)
    words = shlex.split(told["command"].replace("\\\n", ""))
    assert words[words.index("--host") + 1] == form["host"]
    assert words[words.index("-d") + 1] == form.get("body", "{}")
    assert f"host: {form['host']}" in shlex.split(told["curl"].replace("\\\n", ""))


def test_credentials_are_not_copied_but_the_consumer_they_stand_for_is() -> None:
    form = {"host": DEMO, "path": PATH, "headers": [["authorization", "Bearer k-of-team-a"]]}
    told = copies(form, client_keys={"team-a": "k-of-team-a"})
    assert "k-of-team-a" not in json.dumps(told)
    assert "attributes={'consumer': 'team-a'}" in told["pytest"]

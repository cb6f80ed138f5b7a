"""Vercel's AI SDK before the sidecar, with the packages that `.ci/clients node` installs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.agents.test_frameworks import CALL, FOUND, SAID
from tests.processes import ROOT, clean_environment, sidecar
from tests.translation.dialect_table import PROVIDERS

NODE = shutil.which("node")
PACKAGES = Path(os.environ.get("NODE_PACKAGES", "none"))
HOST = "models.example"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        NODE is None or not (PACKAGES / "ai").is_dir(),
        reason="needs node, and its packages: .ci/clients node",
    ),
]


def ask(url: str, folder: Path, *, streams: bool) -> str:
    """Run the script where node finds its packages, and return what it prints."""
    script = folder / "ai_sdk.mjs"
    script.write_text((ROOT / "tests" / "agents" / "ai_sdk.mjs").read_text("utf-8"))
    (folder / "node_modules").symlink_to(PACKAGES)
    environ = {"BASE_URL": f"{url}/v1", "STREAM": "1" if streams else ""}
    done = subprocess.run(
        [str(NODE), str(script)],
        env={**clean_environment(), **environ},
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "chat"])
def test_a_loop_with_a_tool_ends_with_an_answer(name: str, streams: bool, tmp_path: Path) -> None:
    model = PROVIDERS[name]
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        upstream.script(model.plays("hm", "Let me look.", [CALL]), model.plays("hm", SAID, ()))
        config = tmp_path / "mesh.json"
        spec = {
            "host": HOST,
            "endpoint": upstream.url,
            "configs": {"defaultConfig": model.config},
        }
        kind = {"apiVersion": "istio.alibabacloud.com/v1", "kind": "LLMProvider"}
        config.write_text(json.dumps(kind | {"metadata": {"name": "models"}, "spec": spec}))
        program, url = sidecar(config, {"LLM_MESH_DEFAULT_HOST": HOST})
        with program:
            assert ask(url, tmp_path, streams=streams) == SAID
        assert FOUND in json.dumps(model.judge(upstream.requests[-1]))

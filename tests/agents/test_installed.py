"""The agents themselves, as installed: a loop with two calls, on a model of every dialect.

`.ci/clients agents` installs and runs them. They reach nothing but the mesh: whatever else they
would ask is switched off by their settings.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.processes import sidecar
from tests.translation.dialect_table import PROVIDERS
from tests.translation.spoken.rows import Call

pytestmark = pytest.mark.e2e

HOST = "models.example"
ASK = "Say hello with the shell."
WORDS = ("hello-from-one", "hello-from-two")


@dataclass(frozen=True)
class Agent:
    """A program, the environment in which it asks the mesh, and the tool that it runs."""

    command: Sequence[str]
    environ: Callable[[str, Path], Mapping[str, str]]
    calls: Sequence[Call]


def _claude(url: str, home: Path) -> Mapping[str, str]:
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "unused",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
    }


_CODEX = """
model = "gpt-5.1-codex"
model_provider = "mesh"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.mesh]
name = "mesh"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "MESH_KEY"
"""


def _codex(url: str, home: Path) -> Mapping[str, str]:
    (home / "config.toml").write_text(_CODEX.format(url=url))
    return {"CODEX_HOME": str(home), "MESH_KEY": "unused"}


def _calls(name: str, member: str, **more: Any) -> list[Call]:
    return [
        (f"call_{i}", name, {member: f"echo {word}", **more}) for i, word in enumerate(WORDS, 1)
    ]


AGENTS = {
    "claude": Agent(
        ("claude", "-p", ASK, "--allowedTools", "Bash(echo:*)", "--output-format", "json"),
        _claude,
        _calls("Bash", "command", description="says hello"),
    ),
    "codex": Agent(
        ("codex", "exec", "--skip-git-repo-check", "--json", ASK),
        _codex,
        _calls("exec_command", "cmd"),
    ),
}


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "responses"])
@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_an_installed_agent_runs_its_tools_on_any_model(
    agent: Agent, name: str, tmp_path: Path
) -> None:
    if shutil.which(agent.command[0]) is None:
        pytest.skip(f"{agent.command[0]} is not installed")
    model = PROVIDERS[name]
    with FakeUpstream(tls=False, host_names=HOST) as upstream:
        upstream.script(model.plays("I should look.", "Let me look.", agent.calls))
        upstream.always(model.plays("Now I know.", "All said.", ()))
        told = _run(agent, _provider(tmp_path, upstream, model.config), tmp_path)
        assert "All said." in told
        for request in upstream.requests:
            model.judge(request)
        sent = json.dumps(upstream.requests[-1].json())
        assert sent.index(WORDS[0]) < sent.index(WORDS[1])
        assert all(sent.count(word) >= 2 for word in WORDS)  # in a call, and in its result
        if name != "messages":  # passed on as it came, with the provider's own model
            assert model.proof in sent
        assert "llm-mesh." not in sent


def _provider(folder: Path, upstream: FakeUpstream, config: Mapping[str, Any]) -> Path:
    document = {
        "apiVersion": "istio.alibabacloud.com/v1",
        "kind": "LLMProvider",
        "metadata": {"name": "model"},
        "spec": {"host": HOST, "endpoint": upstream.url, "configs": {"defaultConfig": config}},
    }
    path = folder / "mesh.yaml"
    path.write_text(json.dumps(document))
    return path


def _run(agent: Agent, config: Path, folder: Path) -> str:
    """Run the program to its end before a sidecar, and return what it has printed."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    program, url = sidecar(config, {"LLM_MESH_DEFAULT_HOST": HOST, "LLM_MESH_ACCESS": "open"})
    with program:
        done = subprocess.run(
            agent.command,
            cwd=work,
            env={"PATH": os.environ["PATH"], "HOME": str(home), **agent.environ(url, home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

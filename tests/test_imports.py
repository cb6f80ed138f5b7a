"""What a small application imports: each module costs time and memory at every start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.processes import ROOT, clean_environment

PROVIDER = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: acme}
spec:
  host: acme.example
  configs: {defaultConfig: {openAIConfig: {model: m, apiKey: none}}}
"""
ANTHROPIC = PROVIDER.replace("openAIConfig", "anthropicConfig")
# A mesh that is ready, and its first call: a request for chat, to a provider in the same process.
FIRST_CALL = """
import asyncio, json, sys
import httpx
from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream

async def call():
    settings = MeshSettings(endpoints={"acme.example": upstream.url})
    app = LLMMeshMiddleware(None, mesh=Mesh([sys.argv[1]], settings=settings))
    app.mesh.warm_up()
    before = set(sys.modules)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://acme.example") as client:
        reply = await client.post(sys.argv[2], json=json.loads(sys.argv[4]))
    assert reply.status_code == 200, reply.text
    new = set(sys.modules) - before
    print(*sorted(each for each in new if each.startswith("llm_mesh_middleware")))

with FakeUpstream(tls=False) as upstream:
    upstream.always(Answer(body=json.loads(sys.argv[3])) if sys.argv[3] else None)
    asyncio.run(call())
"""
BEDROCK = PROVIDER.replace(
    "openAIConfig: {model: m, apiKey: none}",
    "bedrockConfig: {model: m, region: r, credentials: {accessKeyId: a, secretAccessKey: none}}",
)
MESSAGE = """{"id": "1", "type": "message", "role": "assistant", "model": "m",
"stop_reason": "end_turn", "content": [{"type": "text", "text": "Hello"}],
"usage": {"input_tokens": 1, "output_tokens": 1}}"""
GUARD = """
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: guard}
spec:
  guards:
    - name: secrets
      on: [request]
      pii: {entities: [EMAIL]}
      action: {mask: {}}
"""
# Packages of ours that one provider of OpenAI's API does not need, and libraries.
NOT_NEEDED = (
    "llm_mesh_middleware._ambient",
    "llm_mesh_middleware._auth.sigv4",
    "llm_mesh_middleware._compile.admission.identities",
    "llm_mesh_middleware._compile.guarding",
    "llm_mesh_middleware._compile.inference",
    "llm_mesh_middleware._compile.policies",
    "llm_mesh_middleware._core.guarding",
    "llm_mesh_middleware._core.policy.cache",
    "llm_mesh_middleware._core.policy.guards",
    "llm_mesh_middleware._core.policy.limits",
    "llm_mesh_middleware._core.routing.regex",
    "llm_mesh_middleware._dialects.bedrock",
    "llm_mesh_middleware._core.explaining.explanation",
    "llm_mesh_middleware._schema.inference",
    "llm_mesh_middleware._schema.policy",
    "llm_mesh_middleware._schema.route",
    "llm_mesh_middleware.testing",
    "llm_mesh_middleware.view",
    "http.client",
    *("aiohttp", "botocore", "google", "httpcore", "httpx", "numpy", "opentelemetry.sdk", "redis"),
)
# These only where there is a provider.
OF_PROVIDERS = (
    "llm_mesh_middleware._dialects.anthropic.dialect",
    "llm_mesh_middleware._dialects.gemini.dialect",
    "llm_mesh_middleware._dialects.openai_chat.translation",
    "llm_mesh_middleware._dialects.openai_responses.dialect",
    "llm_mesh_middleware._dialects.translation.transformer",
)
MOST_MODULES, MOST_MODULES_OF_OURS = 797, 433


def imported(tmp_path: Path, manifest: str) -> set[str]:
    """The modules that are imported once a mesh is ready to take the first call."""
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest, encoding="utf-8")
    return modules_after(
        "import asyncio, sys\n"
        "from llm_mesh_middleware import LLMMeshMiddleware, Mesh\n"
        "mesh = Mesh([sys.argv[1]])\n"
        "LLMMeshMiddleware(None, mesh=mesh)\n"
        "mesh.warm_up()\n",
        str(file),
    )


def modules_after(code: str, *args: str) -> set[str]:
    printed = run_python(f"{code}\nimport sys; print(*sys.modules, sep='\\n')", *args)
    return set(printed.split())


def run_python(code: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_one_provider_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    modules = imported(tmp_path, PROVIDER)
    ours = {name for name in modules if name.startswith("llm_mesh_middleware")}
    assert [name for name in NOT_NEEDED if name in modules] == []
    assert len(ours) <= MOST_MODULES_OF_OURS
    assert len(modules) <= MOST_MODULES


def test_a_configuration_that_is_not_yaml_imports_no_yaml(tmp_path: Path) -> None:
    manifest = json.dumps(yaml.safe_load(PROVIDER))
    assert "yaml" not in imported(tmp_path, manifest)


def test_what_a_policy_needs_is_imported_with_the_configuration(tmp_path: Path) -> None:
    modules = imported(tmp_path, PROVIDER + GUARD)
    assert "llm_mesh_middleware._core.policy.guards" in modules
    assert "llm_mesh_middleware._core.guarding.entities.email" in modules


def test_what_a_provider_needs_is_imported_with_the_configuration(tmp_path: Path) -> None:
    modules = imported(tmp_path, BEDROCK)
    assert "llm_mesh_middleware._auth.sigv4" in modules
    assert "llm_mesh_middleware._dialects.bedrock.dialect" in modules
    assert "llm_mesh_middleware._dialects.openai_chat.translation" in modules
    assert "llm_mesh_middleware._dialects.translation.transformer" in modules


ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
ASKED_GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@pytest.mark.parametrize(
    ("manifest", "path", "asked", "answer"),
    [
        (PROVIDER, "/v1/chat/completions", ASKED, ""),
        (ANTHROPIC, "/v1/chat/completions", ASKED, MESSAGE),
        (PROVIDER, "/v1/messages", ASKED, ""),
        (PROVIDER, "/v1/responses", {"model": "m", "input": "Hello"}, ""),
        (PROVIDER, "/v1beta/models/m:generateContent", ASKED_GEMINI, ""),
        (PROVIDER, "/v1/messages/count_tokens", ASKED, ""),
        (ANTHROPIC, "/v1beta/models/m:countTokens", ASKED_GEMINI, '{"input_tokens": 3}'),
    ],
)
def test_a_first_request_imports_nothing(
    tmp_path: Path, manifest: str, path: str, asked: dict[str, object], answer: str
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest, encoding="utf-8")
    imported = run_python(FIRST_CALL, str(file), path, answer, json.dumps(asked))
    assert imported.split() == []


def test_the_middleware_is_imported_without_what_providers_need() -> None:
    modules = modules_after("from llm_mesh_middleware import LLMMeshMiddleware")
    assert [name for name in (*OF_PROVIDERS, *NOT_NEEDED) if name in modules] == []


def test_the_package_itself_imports_its_exceptions_only() -> None:
    modules = modules_after("import llm_mesh_middleware")
    ours = {name for name in modules if name.startswith("llm_mesh_middleware")}
    assert ours == {"llm_mesh_middleware", "llm_mesh_middleware.exceptions"}


def test_the_options_of_the_command_import_no_models() -> None:
    modules = modules_after("import llm_mesh_middleware.cli")
    assert not modules & {"pydantic", "yaml", "llm_mesh_middleware.mesh", "uvicorn"}


def test_every_public_name_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import llm_mesh_middleware as mesh\n"
        "assert set(mesh.__all__) <= set(dir(mesh))\n"
        "for name in mesh.__all__:\n"
        "    value = getattr(mesh, name)\n"
        "    if isinstance(value, type):\n"
        "        assert value.__module__ == 'llm_mesh_middleware', name\n"
        "assert not hasattr(mesh, 'Meshes')"
    )
    assert "llm_mesh_middleware.wsgi" in modules_after(code)

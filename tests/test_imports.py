"""What a small application imports: each module costs time and memory at every start."""

from __future__ import annotations

import json
import os
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
# A mesh that is ready, and its first call, to a provider in the same process: one for each of the
# cases, in a child that has no more than what all of them import.
FIRST_CALLS = """
import asyncio, json, os, sys
import httpx
from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream

async def call(upstream, file, path, asked):
    settings = MeshSettings(endpoints={"acme.example": upstream.url})
    app = LLMMeshMiddleware(None, mesh=Mesh([file], settings=settings))
    app.mesh.warm_up()
    before = set(sys.modules)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://acme.example") as client:
        reply = await client.post(path, json=asked)
    assert reply.status_code == 200, reply.text
    new = set(sys.modules) - before
    return sorted(each for each in new if each.startswith("llm_mesh_middleware"))

for file, path, asked, answer in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        with FakeUpstream(tls=False) as upstream:
            upstream.always(Answer(body=json.loads(answer)) if answer else None)
            print(json.dumps(asyncio.run(call(upstream, file, path, asked))), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
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
# The manifest, the path and the body of a request, and what the provider answers.
FIRST_REQUESTS: dict[str, tuple[str, str, dict[str, object], str]] = {
    "chat": (PROVIDER, "/v1/chat/completions", ASKED, ""),
    "chat to Claude": (ANTHROPIC, "/v1/chat/completions", ASKED, MESSAGE),
    "a message": (PROVIDER, "/v1/messages", ASKED, ""),
    "a response": (PROVIDER, "/v1/responses", {"model": "m", "input": "Hello"}, ""),
    "Gemini": (PROVIDER, "/v1beta/models/m:generateContent", ASKED_GEMINI, ""),
    "a count": (PROVIDER, "/v1/messages/count_tokens", ASKED, ""),
    "Gemini's count": (
        *(ANTHROPIC, "/v1beta/models/m:countTokens", ASKED_GEMINI),
        '{"input_tokens": 3}',
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_first_request_imports_nothing(tmp_path: Path) -> None:
    cases = []
    for name, (manifest, *request) in FIRST_REQUESTS.items():
        (tmp_path / f"{name}.yaml").write_text(manifest, encoding="utf-8")
        cases.append((str(tmp_path / f"{name}.yaml"), *request))
    imported = map(json.loads, run_python(FIRST_CALLS, json.dumps(cases)).splitlines())
    assert dict(zip(FIRST_REQUESTS, imported, strict=True)) == {name: [] for name in FIRST_REQUESTS}


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

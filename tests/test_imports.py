"""What a small application imports: each module costs time and memory at every start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT, clean_environment

PROVIDER = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: acme}
spec:
  host: acme.example
  configs: {defaultConfig: {openAIConfig: {model: m, apiKey: none}}}
"""
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
    "llm_mesh_middleware._compile.guarding",
    "llm_mesh_middleware._compile.inference",
    "llm_mesh_middleware._compile.policies",
    "llm_mesh_middleware._core.guarding",
    "llm_mesh_middleware._core.policy.cache",
    "llm_mesh_middleware._core.routing.regex",
    "llm_mesh_middleware._core.policy.guards",
    "llm_mesh_middleware._core.policy.limits",
    "llm_mesh_middleware._dialects.bedrock",
    "llm_mesh_middleware._schema.inference.documents",
    "llm_mesh_middleware._schema.policy",
    "llm_mesh_middleware.testing",
    "llm_mesh_middleware.view",
    "http.client",
    *("aiohttp", "botocore", "google", "httpcore", "httpx", "numpy", "opentelemetry.sdk", "redis"),
)
MOST_MODULES_OF_OURS = 460


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
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, sep='\\n')", *args],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_one_provider_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    modules = imported(tmp_path, PROVIDER)
    ours = {name for name in modules if name.startswith("llm_mesh_middleware")}
    assert [name for name in NOT_NEEDED if name in modules] == []
    assert len(ours) <= MOST_MODULES_OF_OURS


def test_what_a_policy_needs_is_imported_with_the_configuration(tmp_path: Path) -> None:
    modules = imported(tmp_path, PROVIDER + GUARD)
    assert "llm_mesh_middleware._core.policy.guards" in modules
    assert "llm_mesh_middleware._core.guarding.entities.email" in modules


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

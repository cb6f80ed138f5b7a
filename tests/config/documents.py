"""Manifests for the tests of this folder, and the shortest way to parse one."""

from __future__ import annotations

from collections.abc import Mapping

from llm_mesh_middleware._manifest import Manifest, parse_manifest
from llm_mesh_middleware.exceptions import Problem
from tests.canaries import canary

CANARY = canary("documents")

PROVIDER_HEAD = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: acme
spec:
"""
ROUTE_HEAD = PROVIDER_HEAD.replace("LLMProvider", "LLMRoute")


def provider(spec: str) -> str:
    """A provider whose spec begins in line 6, column 3."""
    return PROVIDER_HEAD + _indent(spec, 2)


def config(openai: str) -> str:
    """A provider whose openAIConfig begins in line 10, column 9."""
    head = "host: acme.example\nconfigs:\n  defaultConfig:\n    openAIConfig:\n"
    return provider(head + _indent(openai, 6))


def route(spec: str) -> str:
    """A route whose spec begins in line 6, column 3."""
    return ROUTE_HEAD + _indent(spec, 2)


def rules(text: str) -> str:
    """A route whose rules begin in line 8, column 3."""
    return route("host: acme.example\nrules:\n" + text)


def match(text: str) -> str:
    """A route whose only match begins in line 12, column 7."""
    head = "- backendRefs:\n  - providerHost: acme.example\n  matches:\n  -\n"
    return rules(head + _indent(text, 4))


def parse(text: str, environ: Mapping[str, str] | None = None) -> Manifest:
    return parse_manifest(text, source="mesh.yaml", environ=environ or {})


def only_problem(manifest: Manifest) -> Problem:
    (problem,) = manifest.problems
    return problem


def _indent(text: str, width: int) -> str:
    return "".join(" " * width + line + "\n" for line in text.splitlines())

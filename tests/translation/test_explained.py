"""What `explain` says of a call between two dialects."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from tests.canaries import canary

KEY = canary("explained")
CONFIGS: dict[str, dict[str, Any]] = {
    "gemini": {"geminiConfig": {"apiKey": KEY, "model": "gemini-x"}},
    "claude": {"anthropicConfig": {"apiKey": KEY, "model": "claude"}},
    "gpt": {"openAIConfig": {"apiKey": KEY}},
}
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def explain(path: str, body: dict[str, Any], *names: str) -> Any:
    providers = [
        LLMProvider.model_validate(
            {
                "metadata": {"name": name},
                "spec": {"host": f"{name}.example", "configs": {"defaultConfig": CONFIGS[name]}},
            }
        )
        for name in names
    ]
    refs = [{"providerHost": f"{n}.example", "priority": i} for i, n in enumerate(names)]
    spec = {"host": "llm", "rules": [{"backendRefs": refs}]}
    route = LLMRoute.model_validate({"metadata": {"name": "llm"}, "spec": spec})
    mesh = Mesh([*providers, route], settings=MeshSettings())
    with closing(mesh):
        return mesh.explain("llm", path=path, body=json.dumps(body).encode())


def test_both_dialects_the_target_and_what_is_dropped_are_told() -> None:
    asked = ASK | {"max_tokens": 9, "stream": True, "context": 1, "tool_choice": {"type": "auto"}}
    told = explain("/v1/messages", asked, "gemini")
    (backend,) = told.backends
    assert (backend.client_dialect, backend.dialect) == ("anthropic.messages", "gcp.gemini")
    assert backend.url.endswith("/v1beta/models/gemini-x:streamGenerateContent?alt=***")
    assert backend.dropped == ("context",)
    text = told.to_text()
    assert "anthropic.messages, translated to gcp.gemini" in text
    assert "dropped" in text
    assert told.as_dict()["backends"][0]["dropped"] == ["context"]


def test_the_same_dialect_is_not_worth_a_line() -> None:
    told = explain("/v1/chat/completions", ASK | {"seed": 7}, "gpt")
    assert told.backends[0].dialect == told.backends[0].client_dialect
    assert "translated" not in told.to_text()


def test_a_backend_whose_dialect_lacks_a_field_is_not_called() -> None:
    told = explain("/v1/chat/completions", ASK | {"n": 2}, "claude", "gpt")
    claude, gpt = told.backends
    assert "n cannot be translated to the Messages API" in claude.refusal
    assert gpt.refusal is None
    assert told.is_served
    assert "not called" in told.to_text()


def test_a_field_that_no_backend_can_say_is_the_refusal() -> None:
    told = explain("/v1/chat/completions", ASK | {"n": 2}, "claude")
    assert told.refusal is not None
    assert (told.refusal.status, told.refusal.code) == (400, "unsupported_field")

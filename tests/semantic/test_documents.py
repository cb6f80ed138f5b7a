"""`cache.semantic` of a policy: what is refused, where, and what `explain` says of it."""

from __future__ import annotations

import sys

import pytest

from llm_mesh_middleware._core.explaining.explainer import explain_request
from llm_mesh_middleware._core.explaining.findings import PolicyExplanation
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import raw
from llm_mesh_middleware._manifest import parse_manifest
from llm_mesh_middleware.exceptions import Problem
from tests.core.tables import ACME, GLOBEX, compiled, provider, route, table

HEAD = """\
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: team}
spec:
  cache:
    vary: []
    semantic: """
ROUTE = route(f"- {{name: main, backendRefs: [{{providerHost: {ACME}}}]}}")
EMBEDDING = f"embedding: {{providerHost: {ACME}, model: vectors}}"


def read(text: str) -> Problem:
    """The only problem of a policy."""
    (problem,) = parse_manifest(f"{HEAD}{{{text}}}\n", source="mesh.yaml", environ={}).problems
    return problem


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("", "embedding", "is missing"),
        ("embedding: {model: m}", "embedding.providerHost", "is missing"),
        ("embedding: {providerHost: a.example}", "embedding.model", "is missing"),
        (f"{EMBEDDING}, threshold: 0", "threshold", "0"),
        (f"{EMBEDDING}, threshold: 1.1", "threshold", "1"),
        (f"{EMBEDDING}, shadow: maybe", "shadow", "true or false"),
        (f"{EMBEDDING}, timeout: soon", "timeout", "duration"),
        (f"{EMBEDDING}, treshold: 0.9", "treshold", "did you mean `threshold`?"),
    ],
)
def test_a_fault_has_its_place(text: str, field: str, message: str) -> None:
    problem = read(text)

    assert (problem.source, problem.field) == (
        "mesh.yaml",
        f"spec.cache.semantic.{field}".strip("."),
    )
    assert problem.line == 7
    assert message in problem.message


def test_the_provider_must_be_there() -> None:
    pytest.importorskip("numpy")
    text = f"{HEAD}{{embedding: {{providerHost: nowhere.example, model: m}}}}\n"
    (problem,) = compiled(provider(), ROUTE, text).problems

    assert problem.field == "spec.cache.semantic.embedding.providerHost"
    assert problem.message == f"no LLMProvider has the host 'nowhere.example'; known hosts: {ACME}"


def test_the_provider_must_make_vectors() -> None:
    pytest.importorskip("numpy")
    other = provider(GLOBEX, "{apis: [chat]}")
    text = f"{HEAD}{{embedding: {{providerHost: {GLOBEX}, model: m}}}}\n"
    (problem,) = compiled(provider(), other, ROUTE, text).problems

    assert problem.field == "spec.cache.semantic.embedding.providerHost"
    assert "has no embeddings" in problem.message


def test_without_numpy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    (problem,) = compiled(provider(), ROUTE, f"{HEAD}{{{EMBEDDING}}}\n").problems

    assert (problem.severity, problem.field) == ("error", "spec.cache.semantic")
    assert "pip install 'llm-mesh-middleware[semantic]'" in problem.message


def explained(message: object, semantic: str = "") -> PolicyExplanation:
    pytest.importorskip("numpy")
    routes = table(provider(), ROUTE, f"{HEAD}{{{EMBEDDING}{semantic}}}\n")
    body = bytes(raw({"model": "m", "messages": [message]}))
    asked = ClientRequest("POST", "/v1/chat/completions", Headers(), body, {}, host="chat")
    cache, alike = explain_request(routes, asked, forward=ForwardPolicy()).policies
    assert (cache.item, alike.item, alike.kind) == ("cache", "semantic", "semantic")
    return alike


def test_explain_says_what_would_be_looked_for() -> None:
    told = explained({"role": "user", "content": "What is a mesh?"})
    assert told.holds
    assert told.text.startswith(
        f"an entry whose vector by vectors of {ACME} has a cosine of 0.95 or more is reported;"
        " the partition of this one begins with "
    )
    used = explained({"role": "user", "content": "a mesh"}, ", shadow: false, threshold: 0.9")
    assert "a cosine of 0.9 or more is used;" in used.text


def test_explain_says_why_nothing_would_be() -> None:
    told = explained({"role": "assistant", "content": "A mesh."})
    assert (told.holds, told.text) == (
        False,
        "its last message is not a user's, not only text, or too long to be compared",
    )

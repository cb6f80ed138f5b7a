"""A client's path names an operation; where that operation goes, the configuration alone says."""

from __future__ import annotations

import pytest

from llm_mesh_middleware.exceptions import InvalidJSON, MethodNotAllowed, UnsupportedOperation
from tests.core.scripted import play, sent
from tests.core.tables import ACME, provider, request, table
from tests.rows import rows

DASHSCOPE_PATH = "/compatible-mode/v1/chat/completions"
AZURE_PATH = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
REFUSED = None

# The provider's path, the client's path, the target upstream.
TARGETS = [
    # chat, by all its names
    (DASHSCOPE_PATH, "/", DASHSCOPE_PATH),
    (DASHSCOPE_PATH, "", DASHSCOPE_PATH),
    (DASHSCOPE_PATH, "/chat/completions", DASHSCOPE_PATH),
    (DASHSCOPE_PATH, "/v1/chat/completions", DASHSCOPE_PATH),
    (DASHSCOPE_PATH, DASHSCOPE_PATH, DASHSCOPE_PATH),
    (DASHSCOPE_PATH, "/anything/chat/completions", DASHSCOPE_PATH),
    # the others stand beside it
    (DASHSCOPE_PATH, "/v1/embeddings", "/compatible-mode/v1/embeddings"),
    (DASHSCOPE_PATH, "/embeddings", "/compatible-mode/v1/embeddings"),
    (DASHSCOPE_PATH, "/v1/completions", "/compatible-mode/v1/completions"),
    (DASHSCOPE_PATH, "/v1/responses", "/compatible-mode/v1/responses"),
    (DASHSCOPE_PATH, "/compatible-mode/v1/embeddings", "/compatible-mode/v1/embeddings"),
    ("/v1/chat/completions", "/", "/v1/chat/completions"),
    ("/v1/chat/completions", "/compatible-mode/v1/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "/v1/embeddings", "/v1/embeddings"),
    ("/v1/chat/completions", "/v1/completions", "/v1/completions"),
    ("/v1/chat/completions", "/v1/responses", "/v1/responses"),
    ("/chat/completions", "/v1/embeddings", "/embeddings"),
    # Anthropic's is translated, by the end that its SDK gives it
    ("/v1/chat/completions", "/v1/messages", "/v1/chat/completions"),
    (DASHSCOPE_PATH, "/v1/messages", DASHSCOPE_PATH),
    (DASHSCOPE_PATH, "/anthropic/v1/messages", DASHSCOPE_PATH),
    ("/apps/anthropic/v1/messages", "/v1/messages", "/apps/anthropic/v1/messages"),
    # a query belongs to all of them
    (AZURE_PATH, "/", AZURE_PATH),
    (AZURE_PATH, "/v1/chat/completions", AZURE_PATH),
    (
        AZURE_PATH,
        "/v1/embeddings",
        "/openai/deployments/gpt/embeddings?api-version=2024-10-21",
    ),
    # Anthropic's own path is no chat; a path that is none of the known ones is. Nothing is known
    # of what stands beside either.
    ("/v1/messages", "/", "/v1/messages"),
    ("/v1/messages", "", "/v1/messages"),
    ("/v1/messages", "/v1/chat/completions", "/v1/messages"),
    ("/v1/messages", "/chat/completions", "/v1/messages"),
    ("/anthropic/messages", "/", "/anthropic/messages"),
    ("/anthropic/messages", "/anthropic/messages", "/anthropic/messages"),
    ("/anthropic/messages?beta=true", "/v1/messages", "/anthropic/messages?beta=true"),
    ("/v1/messages", "/v1/messages", "/v1/messages"),
    ("/v1/messages", "/v1/embeddings", REFUSED),
    ("/v1/messages", "/v1/completions", REFUSED),
    ("/v1/messages", "/v1/responses", "/v1/messages"),
    ("/llm?path=/v1/chat/completions", "/v1/embeddings", REFUSED),
    ("/llm?path=/v1/chat/completions", "/llm", "/llm?path=/v1/chat/completions"),
    # no operation
    ("/v1/chat/completions", "/v1", REFUSED),
    ("/v1/chat/completions", "/v1/", REFUSED),
    ("/v1/chat/completions", "/v1/threads/t1/messages", REFUSED),
    ("/v1/chat/completions", "/v1/audio/speech", REFUSED),
    ("/v1/chat/completions", "/v1/Chat/Completions", REFUSED),
    ("/v1/chat/completions", "/v1/chatcompletions", REFUSED),
    ("/v1/chat/completions", "/v1/batch-embeddings", REFUSED),
    ("/v1/chat/completions", "*", REFUSED),
    # tricks: whatever stands around the operation, the target is the configured one or there is
    # none
    ("/v1/chat/completions", "/../../admin/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "/v1/chat/../admin/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "//evil.example/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "//", REFUSED),
    ("/v1/chat/completions", "//evil.example", REFUSED),
    ("/v1/chat/completions", "/%2e%2e/%2e%2e/embeddings", "/v1/embeddings"),
    ("/v1/chat/completions", "/%2e%2e/", REFUSED),
    ("/v1/chat/completions", "/admin/..;/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "/chat/completions;x", REFUSED),
    ("/v1/chat/completions", "/chat/completions/", "/v1/chat/completions"),
    ("/v1/chat/completions", "/v1/embeddings/", "/v1/embeddings"),
    ("/v1/chat/completions", "/chat/completions//", REFUSED),
    ("/v1/chat/completions", "/chat/completions/..", REFUSED),
    ("/v1/chat/completions", "/chat/completions/../../admin", REFUSED),
    ("/v1/chat/completions", "/chat/completions%00", REFUSED),
    ("/v1/chat/completions", "/chat/completions\x00", REFUSED),
    ("/v1/chat/completions", "/chat/completions?x=1", REFUSED),
    ("/v1/chat/completions", "/chat%2fcompletions", REFUSED),
    ("/v1/chat/completions", "/x?y=/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "/x#/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "/x\r\nhost: evil\r\n/chat/completions", "/v1/chat/completions"),
    ("/v1/chat/completions", "\\\\evil.example\\chat/completions", "/v1/completions"),
    ("/v1/chat/completions", "/v1/chat\\completions", REFUSED),
]  # fmt: skip


@rows(("configured", "asked", "target"), TARGETS)
def test_the_target_is_the_configured_one_of_the_operation(
    configured: str, asked: str, target: str | None
) -> None:
    routes = table(provider(spec=f"path: {configured!r}"))
    if target is None:
        with pytest.raises(UnsupportedOperation) as caught:
            sent(routes, request(path=asked), host=ACME)
        assert (caught.value.status, caught.value.code) == (404, "unsupported_operation")
        return
    upstream = sent(routes, request(path=asked, body='{"messages": []}'), host=ACME)
    assert upstream.target == target
    assert upstream.endpoint.address == ACME


@rows(
    ("configured", "target"),
    [
        (DASHSCOPE_PATH, "/compatible-mode/v1/models"),
        ("/v1/chat/completions", "/v1/models"),
        (AZURE_PATH, "/openai/deployments/gpt/models?api-version=2024-10-21"),
    ],
)
def test_models_are_asked_for_with_get_and_without_a_body(configured: str, target: str) -> None:
    routes = table(provider(openai="{defaults: {top_p: 1}}", spec=f"path: {configured}"))
    upstream = sent(routes, request(method="GET", path="/v1/models", body="not JSON"), host=ACME)
    assert (upstream.method, upstream.target, upstream.body) == ("GET", target, b"")


def test_a_path_is_the_providers_default_when_none_is_configured() -> None:
    assert sent(table(provider()), request(), host=ACME).target == "/v1/chat/completions"


METHODS = [
    ("/", "GET", "POST"),
    ("/", "HEAD", "POST"),
    ("/v1/chat/completions", "GET", "POST"),
    ("/v1/chat/completions", "PUT", "POST"),
    ("/v1/chat/completions", "DELETE", "POST"),
    ("/v1/chat/completions", "PATCH", "POST"),
    ("/v1/chat/completions", "OPTIONS", "POST"),
    ("/v1/chat/completions", "post", "POST"),
    ("/v1/chat/completions", "X" * 10_000, "POST"),
    ("/v1/completions", "GET", "POST"),
    ("/v1/embeddings", "GET", "POST"),
    ("/v1/responses", "DELETE", "POST"),
    ("/v1/models", "POST", "GET"),
    ("/v1/models", "DELETE", "GET"),
]


@rows(("path", "method", "allowed"), METHODS, ids=lambda value: str(value)[:30])
def test_another_method_is_refused_with_the_one_that_is_allowed(
    path: str, method: str, allowed: str
) -> None:
    # The body is none either: who comes with GET is not told that his JSON is wrong.
    performed = play(table(provider()), request(path=path, method=method, body=b""), host=ACME)
    error = performed.error
    assert isinstance(error, MethodNotAllowed)
    assert (error.status, error.code) == (405, "method_not_allowed")
    assert error.headers == {"allow": allowed}
    assert len(error.message) < 200
    assert performed.taken == []


def test_an_unknown_path_is_told_before_a_broken_body() -> None:
    routes = table(provider())
    with pytest.raises(UnsupportedOperation):
        sent(routes, request(path="/nowhere", body=b"["), host=ACME)
    with pytest.raises(InvalidJSON):
        sent(routes, request(path="/", body=b"["), host=ACME)

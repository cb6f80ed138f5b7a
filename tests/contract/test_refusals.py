"""What an adapter refuses by itself is told to observers too, the same through every adapter."""

from __future__ import annotations

import pytest

from tests.canaries import canary
from tests.contract.conftest import World

pytestmark = pytest.mark.inbound


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ([("x-forwarded-for", "203.0.113.9")], b"{}", 403, "access_denied"),
        ([("authorization", "Bearer no"), ("via", "x")], b"{}", 401, "invalid_client_key"),
        ([], b"{" + b" " * 200 + b"}", 413, "request_too_large"),
        ([("content-encoding", "gzip")], b"{}", 415, "unsupported_content_encoding"),
        ([("host", "LLM:81")], b"{}", 400, "invalid_request"),
        ([], b"{", 400, "invalid_json"),
    ],
)
def test_a_refused_request_is_an_exchange_that_ends_with_the_error(
    world: World, headers: list[tuple[str, str]], body: bytes, status: int, code: str
) -> None:
    world.start(client_keys={"reporting": canary("reporting")}, max_request_bytes=100)
    answer = world.ask(body, headers=headers)
    assert (answer.status, answer.code) == (status, code)
    (entry,) = world.ledger.entries
    assert entry.events == [f"ended {status}"]
    assert getattr(entry.error, "code", None) == code
    assert world.primary.requests == []

"""The header fields that tell a client about the cache."""

from __future__ import annotations

from msgspec.structs import replace

from ...flow.reply import Reply, as_stream
from ...http.response_headers import NOSNIFF

__all__ = ["kept_reply", "with_result", "with_similarity"]

_RESULT = b"x-llm-mesh-cache"
# No cache between the mesh and its client may store a response of one scope.
_PRIVATE = (b"cache-control", b"private, no-store")


def with_result(reply: Reply, result: str) -> Reply:
    """Return a reply with the cache's result in its header."""
    headers = [*reply.headers, (_RESULT, result.encode())]
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append(_PRIVATE)
    return replace(reply, headers=headers)


def with_similarity(result: str, similarity: float) -> str:
    """Return a result with the similarity of the entry's request."""
    return f"{result}; similarity={similarity:.3f}"


def kept_reply(body: bytes, result: str, *, is_stream: bool, age_s: float) -> Reply:
    """Return the reply with a cached response."""
    kind = b"text/event-stream" if is_stream else b"application/json"
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        NOSNIFF,
        (b"age", b"%d" % age_s if age_s > 0 else b"0"),
        (_RESULT, result.encode()),
        _PRIVATE,
    ]
    reply = Reply(200, headers, body)
    return as_stream(reply) if is_stream else reply

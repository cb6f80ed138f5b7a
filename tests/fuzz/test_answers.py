"""Providers that send anything at all, in any pieces: an answer, or an error that says so."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from llm_mesh_middleware._core.values.messages import Failure
from llm_mesh_middleware.exceptions import UpstreamError, UpstreamProtocolError
from llm_mesh_middleware.testing import chat_completion, chat_stream, error_body, token_usage
from tests.canaries import canary
from tests.core.scripted import JSON, SSE, Play, head, play
from tests.core.tables import provider, request, route, table

SEED = 20_260_103
KEY = canary("fuzz")
NOISE = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"data:", b"data: [DONE]\n\n", b"{", b"}", b'"', b"\x00",
    b"\xff", b"\xef\xbb\xbf", b": comment\n", b"event: x\n", b"id: 1\n", b"9" * 300, b"[" * 300,
    KEY.encode(), b'"usage":null', b'"choices":[]', b"\xe2\x80\xa8",
)  # fmt: skip


def routes(openai: str) -> object:
    return table(
        provider("acme.example", openai), route("- backendRefs: [{providerHost: acme.example}]")
    )


PLAIN = routes(f"{{apiKey: {KEY}}}")
TO_JSON = routes(f"{{apiKey: {KEY}, stream: true}}")
TO_EVENTS = routes(f"{{apiKey: {KEY}, stream: false}}")
EVENTS = b"".join(
    chat_stream(["Good ", "morning ", "back"], usage=token_usage(5, 12), include_usage=True)
)
WHOLE = json.dumps(chat_completion("Good morning", usage=token_usage(5, 12))).encode()
ERROR = json.dumps(error_body(f"no, {KEY} is wrong")).encode()


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(changed) + 1)
        changed[at : at + rng.choice((0, 0, 1, 7, 60))] = rng.choice(NOISE)
    return bytes(changed[: rng.randint(0, len(changed))]) if rng.random() < 0.2 else bytes(changed)


def split(rng: random.Random, data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = rng.choice((1, 2, 5, 17, 100, 1000))
        yield data[at : at + size]
        at += size


def delivered(played: Play, rest: list[bytes], *, torn: bool) -> bytes:
    """What the client gets of a reply, to its end."""
    reply = played.reply
    assert reply is not None
    if isinstance(reply.body, bytes):
        return reply.body
    end = Failure(UpstreamProtocolError("acme.example broke off")) if torn else b""
    return b"".join(played.read(*rest, end))


@pytest.mark.slow
@pytest.mark.parametrize("table_", [PLAIN, TO_JSON, TO_EVENTS], ids=["plain", "to JSON", "to SSE"])
@pytest.mark.parametrize("asks_stream", [True, False])
def test_whatever_a_provider_sends_the_client_has_an_answer_or_is_told(
    table_: object, asks_stream: bool
) -> None:
    rng = random.Random(SEED)
    body = json.dumps({"messages": [], "stream": asks_stream})
    kinds = ((200, SSE, EVENTS), (200, JSON, WHOLE), (400, JSON, ERROR), (500, "x: y", ERROR))
    for number in range(800):
        status, field, data = rng.choice(kinds)
        pieces = list(split(rng, mutated(rng, data)))
        torn = rng.random() < 0.2
        last = Failure(UpstreamProtocolError("acme.example broke off")) if torn else b""
        played = play(table_, request(body=body))  # type: ignore[arg-type]
        played.perform(head(status, field))
        while played.reply is None and played.error is None and pieces:
            played.perform(pieces.pop(0))
        if played.reply is None and played.error is None:
            played.perform(last)
        if played.error is not None:
            assert isinstance(played.error, UpstreamError), number
            assert KEY not in str(played.error)
        else:
            got = delivered(played, pieces, torn=torn)
            check(number, played, got)
        assert played.notes.events.count("ended") == 1, number


def check(number: int, played: Play, got: bytes) -> None:
    """A whole answer is sound JSON; a stream that is not whole says so, and never ends as if."""
    assert played.reply is not None
    error = played.notes.ends[0][1]
    is_events = any(value.startswith(b"text/event-stream") for _, value in played.reply.headers)
    if not is_events:
        json.loads(got.decode(errors="replace"))
    if error is not None and is_events:
        assert b'"code":"stream_interrupted"' in got or b'"error"' in got, number
        assert not got.endswith(b"data: [DONE]\n\n"), number
    if played.reply.status >= 400:
        assert KEY.encode() not in got, number

"""A provider that counts events with the index of the choice, where one choice was asked for."""

from __future__ import annotations

import json

from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, ResponseHead
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects.openai_chat import OPERATIONS
from llm_mesh_middleware._dialects.openai_chat.dialect import DIALECT
from tests.core.tables import ACME, provider, table, upstream_of
from tests.dialects.test_stream_relay import delta
from tests.rows import rows

UPSTREAM = upstream_of(table(provider(openai="{apiKey: none-1234}")), ACME)
CHAT, TEXT, _ = OPERATIONS
HEAD = ResponseHead(200, Headers([(b"content-type", b"text/event-stream")]))
COUNTED = b"".join(delta("x", index=index) for index in range(200)) + delta(
    "", index=200, reason="stop"
)


@rows(
    ("operation", "asked", "is_complete"),
    [
        (CHAT, {}, True),
        (CHAT, {"n": 1}, True),
        (CHAT, {"n": None}, True),
        (CHAT, {"n": 2}, False),
        (TEXT, {"prompt": "one"}, True),
        (TEXT, {"prompt": ["one", "two"]}, False),
    ],
)
@rows("size", [1, 77, 10**6])
def test_its_one_finish_reason_is_the_end_of_the_stream(
    operation: object, asked: dict[str, object], is_complete: bool, size: int
) -> None:
    fields = decode_fields(json.dumps({**asked, "stream": True}).encode())
    request = ClientRequest("POST", "/", Headers(()), fields=fields)
    _, relay = DIALECT.transformer(request, operation, UPSTREAM).relay(HEAD)  # type: ignore[arg-type]

    pieces = [COUNTED[at : at + size] for at in range(0, len(COUNTED), size)]
    got = b"".join([*map(relay.feed, pieces), relay.finish()])

    assert got.startswith(COUNTED)
    assert (relay.error is None, b"stream_interrupted" in got) == (is_complete, not is_complete)
    if is_complete:
        assert relay.summary.finish_reasons == ("stop",)

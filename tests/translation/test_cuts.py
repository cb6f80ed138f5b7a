"""A provider's stream, cut anywhere: the client gets the same events."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from llm_mesh_middleware._core.conversation.sides import ClientSide, ProviderSide
from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.dialect import WholeAnswer
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects import anthropic, openai_chat, openai_responses
from llm_mesh_middleware._dialects.translation.relay import TranslatingRelay
from tests.translation.test_chat_to_messages import block, end, start, text, use, words
from tests.translation.test_messages_to_chat import DONE, USAGE, chunk
from tests.translation.test_others_to_responses import text_events
from tests.translation.worlds import events

DIALECTS: dict[str, Any] = {
    "chat": openai_chat.DIALECT,
    "responses": openai_responses.DIALECT,
    "messages": anthropic.DIALECT,
}
ASKS = {
    "chat": '{"messages": [], "stream": true, "stream_options": {"include_usage": true}}',
    "responses": '{"input": "hi", "stream": true, "store": false}',
    "messages": '{"messages": [], "stream": true, "max_tokens": 9}',
}


def call_piece(index: int, arguments: str, **more: Any) -> Any:
    function: dict[str, Any] = {"arguments": arguments, **more.pop("function", {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **more}]})


STREAMS: dict[str, list[Any]] = {
    "chat": [
        b": a comment\n\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Grüße, 世界"}),
        call_piece(0, "", id="a", function={"name": "one"}),
        call_piece(1, '{"y":', id="b", function={"name": "two"}),
        call_piece(0, '{"x":1}'),
        call_piece(1, "2}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    ],
    "messages": [
        start(cache_read_input_tokens=4),
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block(1, text(""), *words("Grüße, ", "世界")),
        *block(2, use("a", "one", {}), {"type": "input_json_delta", "partial_json": '{"x":1}'}),
        *block(3, use("b", "two", {})),
        *end("tool_use"),
    ],
    "responses": text_events(),
}
PAIRS = [(client, provider) for client in DIALECTS for provider in DIALECTS if client != provider]


def relay(client: str, provider: str) -> TranslatingRelay:
    speaks: ClientSide = DIALECTS[client]
    spoken: ProviderSide = DIALECTS[provider]
    asked = ClientRequest("POST", "/", Headers(()), fields=decode_fields(ASKS[client].encode()))
    stamp = Stamp(1, "token", "m")
    return TranslatingRelay(
        "provider.example",
        spoken.event_reader(stamp),
        speaks.event_writer(speaks.read_request(asked), stamp),
        refuse=lambda fault: WholeAnswer(fault.status, [], fault.message.encode()),
    )


def passed(client: str, provider: str, *pieces: bytes) -> bytes:
    one = relay(client, provider)
    out = b"".join([*map(one.feed, pieces), one.finish()])
    assert one.error is None
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_every_cut_gives_the_same_events(client: str, provider: str) -> None:
    stream = b"".join(events(*STREAMS[provider]))
    whole = passed(client, provider, stream)
    assert passed(client, provider, *(stream[i : i + 1] for i in range(len(stream)))) == whole
    for at in range(len(stream)):
        assert passed(client, provider, stream[:at], stream[at:]) == whole
    draw = random.Random(7)
    for _ in range(50):
        cuts = sorted(draw.randrange(len(stream)) for _ in range(9))
        ends = zip([0, *cuts], [*cuts, len(stream)], strict=True)
        assert passed(client, provider, *(stream[a:b] for a, b in ends)) == whole


# How many events at the end may be missing, but for one: they only count, or mark the end.
LAST = {"chat": 3, "messages": 2, "responses": 1}
ENDS = {"chat": b"[DONE]", "messages": b"message_stop", "responses": b"response.completed"}


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_stream_that_ends_too_early_has_no_end(client: str, provider: str) -> None:
    given = events(*STREAMS[provider])
    for count in range(len(given) - LAST[provider] + 1):
        one = relay(client, provider)
        out = one.feed(b"".join(given[:count])) + one.finish()
        assert one.error is not None
        assert b"error" in out
        assert ENDS[client] not in out


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_calls_stay_apart_in_every_pair(client: str, provider: str) -> None:
    out = passed(client, provider, b"".join(events(*STREAMS[provider])))
    told = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    text_ = json.dumps(told, ensure_ascii=False)
    assert "hm" in text_
    names = ("look",) if provider == "responses" else ("one", "two")
    assert all(f'"name": "{name}"' in text_ for name in names)

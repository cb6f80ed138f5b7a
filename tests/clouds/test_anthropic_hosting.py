"""Claude models at other hosts: what comes back is what their own API says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from llm_mesh_middleware.testing import Answer, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.frames import chunk, event, exception

KEY = canary("hosting")
FRAMES = (("content-type", "application/vnd.amazon.eventstream"),)
ASKED: Any = {
    "model": "claude",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}
EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "llo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}
FRAMED = b"".join(map(chunk, [*EVENTS[:-1], EVENTS[-1] | METRICS]))
PLAIN = b"".join(
    b"event: %s\ndata: %s\n\n" % (each["type"].encode(), json.dumps(each).encode())
    for each in EVENTS[:-1]
)
PLAIN += b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
MESSAGE = EVENTS[0]["message"] | {
    "content": [{"type": "text", "text": "Héllo"}],
    "stop_reason": "end_turn",
}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bench]:
    with bench({"bedrockConfig": {"region": "r", "api": "invoke", "apiKey": KEY}}) as made:
        yield made


@pytest.fixture(scope="module")
def vertex() -> Iterator[Bench]:
    place = {"project": "p", "location": "l", "accessToken": KEY}
    with bench({"anthropicConfig": {"vertex": place}}) as made:
        yield made


def sdk(made: Bench) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )


def streamed(made: Bench) -> bytes:
    body = {**ASKED, "stream": True}
    with made.client.stream("POST", f"http://{HOST}/v1/messages", json=body) as response:
        return b"".join(response.iter_raw())


def test_a_message_of_bedrock_is_a_message(bedrock: Bench) -> None:
    bedrock.answer(Answer(200, body=MESSAGE))
    made = sdk(bedrock).messages.create(**ASKED)
    assert made.to_dict() == MESSAGE
    assert bedrock.asked.path == "/model/claude/invoke"
    assert bedrock.asked.header("authorization") == f"Bearer {KEY}"
    assert bedrock.asked.header("anthropic-version") is None


def test_frames_become_the_events_of_the_models_own_api(bedrock: Bench) -> None:
    bedrock.answer(Stream([FRAMED], headers=FRAMES))
    assert streamed(bedrock) == PLAIN
    bedrock.answer(Stream([FRAMED[i : i + 1] for i in range(len(FRAMED))], headers=FRAMES))
    assert streamed(bedrock) == PLAIN
    draw = random.Random(3)
    for _ in range(5):
        at = sorted(draw.sample(range(len(FRAMED)), 2))
        pieces = [FRAMED[: at[0]], FRAMED[at[0] : at[1]], FRAMED[at[1] :]]
        bedrock.answer(Stream(pieces, headers=FRAMES))
        assert streamed(bedrock) == PLAIN


def test_the_sdk_joins_a_stream_of_frames(bedrock: Bench) -> None:
    bedrock.answer(Stream([FRAMED], headers=FRAMES))
    with sdk(bedrock).messages.stream(**ASKED) as stream:
        message = stream.get_final_message()
    assert message.content[0].to_dict() == {"type": "text", "text": "Héllo"}
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 2)
    assert bedrock.asked.path == "/model/claude/invoke-with-response-stream"
    assert bedrock.asked.json() == {k: v for k, v in ASKED.items() if k != "model"} | {
        "anthropic_version": "bedrock-2023-05-31"
    }


DAMAGED = bytearray(FRAMED)
DAMAGED[len(FRAMED) - 40] ^= 1
ENDS = [
    (FRAMED[: len(FRAMED) // 2], "ended its stream too early"),
    (bytes(DAMAGED), "a frame has a wrong checksum"),
    (FRAMED[:-60] + b"\0" * 60, "a frame"),
    (b"".join(map(chunk, EVENTS[:3])) + exception("throttlingException", "slow"), "slow"),
    (b"".join(map(chunk, EVENTS[:3])) + event("chunk", {"bytes": "?"}), "a frame holds no event"),
]


@pytest.mark.parametrize(("data", "message"), ENDS)
def test_a_broken_stream_of_frames_ends_with_an_error(
    bedrock: Bench, data: bytes, message: str
) -> None:
    bedrock.answer(Stream([data], headers=FRAMES))
    got = streamed(bedrock)
    begin, _, last = got.rstrip(b"\n").rpartition(b"\n\n")
    assert PLAIN.startswith(begin + b"\n\n")
    assert begin.count(b"\n\n") >= 2
    assert last.startswith(b"event: error\n")
    assert message in last.decode()


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("throttlingException", 429, anthropic.RateLimitError),
        ("validationException", 400, anthropic.BadRequestError),
        ("serviceUnavailableException", 503, anthropic.InternalServerError),
        ("modelTimeoutException", 504, anthropic.InternalServerError),
        ("internalServerException", 500, anthropic.InternalServerError),
    ],
)
def test_an_exception_as_the_first_frame_is_an_error_with_its_status(
    bedrock: Bench, name: str, status: int, error: type[anthropic.APIStatusError]
) -> None:
    bedrock.upstream.always(Stream([exception(name, "their words")], headers=FRAMES))
    try:
        with pytest.raises(error, match="their words") as raised:
            sdk(bedrock).messages.create(**ASKED, stream=True)
    finally:
        bedrock.upstream.always(None)
    assert raised.value.status_code in (status, 502 if status == 500 else status)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"message": "their words"}, 400, "invalid_request_error"),
        ({"Message": "their words"}, 403, "permission_error"),
        ({"error": {"code": 404, "message": "their words", "status": "X"}}, 404, "not_found_error"),
        (
            {"type": "error", "error": {"type": "odd", "message": "their words"}},
            400,
            "odd",
        ),
    ],
)
def test_errors_of_a_host_are_error_objects(
    bedrock: Bench, vertex: Bench, body: Any, status: int, kind: str
) -> None:
    for made in (bedrock, vertex):
        for told in (body, [body]):
            made.answer(Answer(status, body=json.dumps(told), headers=[("content-type", "a/json")]))
            with pytest.raises(anthropic.APIStatusError) as raised:
                sdk(made).messages.create(**ASKED)
            assert raised.value.status_code == status
            found = raised.value.body
            if isinstance(found, dict):
                assert found["error"]["message"] == "their words"
                assert found["error"]["type"] == kind


def test_vertex_streams_the_same_bytes(vertex: Bench) -> None:
    vertex.answer(Stream([PLAIN]))
    assert streamed(vertex) == PLAIN
    assert vertex.asked.path == (
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict"
    )

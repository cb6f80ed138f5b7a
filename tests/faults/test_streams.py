"""Streams on the wire: at once, byte for byte, and never a broken one that looks whole."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Drip,
    Gate,
    RecordedRequest,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.adapters.wire import CHAT, STREAMED_CHAT, Client, Connect, Response, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MOONSHOT, Providers, slow
from tests.faults.conftest import ASGI

MeshOn = Callable[..., int]

EVENTS = chat_stream(["Hel", "lo"])
DONE = EVENTS[-1]
STREAMED = request_bytes(DASHSCOPE, STREAMED_CHAT)


@pytest.fixture
def client(mesh_on: MeshOn, connect: Connect, server: str) -> Client:
    return connect(mesh_on(server))


def assert_is_stream(head: Response) -> None:
    assert head.status == 200
    assert head.header("content-type") == "text/event-stream"
    assert head.header("content-length") is None


def test_each_event_is_there_before_the_next_is_sent(client: Client, providers: Providers) -> None:
    gates = [Gate() for _ in EVENTS]
    steps = [step for pair in zip(EVENTS, gates, strict=True) for step in pair]
    providers.dashscope.always(Stream(steps))
    client.send(STREAMED)
    head = client.read_head()
    assert_is_stream(head)
    body = iter(client.read_body(head))
    for event, gate in zip(EVENTS, gates, strict=True):
        assert next(filter(None, body)) == event
        gate.open()

    assert b"".join(body) == b""


def test_the_head_of_a_stream_says_who_served_it(client: Client, providers: Providers) -> None:
    fields = [("content-type", "text/event-stream"), ("x-request-id", "r-9"), ("set-cookie", "a=b")]
    providers.dashscope.always(Stream(EVENTS, headers=fields))
    response = client.ask(STREAMED)

    assert_is_stream(response)
    assert response.header("x-request-id") == "r-9"
    assert response.header("x-llm-mesh-provider") == "dashscope-qwen"
    assert response.header("set-cookie") is None
    assert response.body == b"".join(EVENTS)


ONE = json.dumps({"choices": [{"index": 0, "delta": {"content": "grüße 💡"}}]}, ensure_ascii=False)
EVENT = f"data: {ONE}\n\n".encode()
SHAPES = {
    "LF": EVENT + DONE,
    "CRLF": (EVENT + DONE).replace(b"\n", b"\r\n"),
    "CR": (EVENT + DONE).replace(b"\n", b"\r"),
    "mixed": EVENT.replace(b"\n", b"\r\n") + EVENT.replace(b"\n", b"\r") + DONE,
    "a byte order mark": b"\xef\xbb\xbf" + EVENT + DONE,
    "comments": b": hello\n\n" + EVENT + b":\n\n: more\n" + EVENT + DONE,
    "no space": EVENT.replace(b"data: ", b"data:") + b"data:[DONE]\n\n",
    "several lines": f"data: {ONE[:11]}\ndata: {ONE[11:]}\n\n".encode() + DONE,
    "other fields": b"id: 7\nevent: chunk\nretry: 5\n" + EVENT + DONE,
    "many events": EVENT * 500 + DONE,
    "a long event": b'data: {"choices":[],"x":"' + b"y" * 300_000 + b'"}\n\n' + DONE,
    "after the end": EVENT + DONE + b": bye\n\n",
    "no blank line at the end": EVENT + DONE.rstrip(b"\n"),
}
SMALL = {name: data for name, data in SHAPES.items() if len(data) < 10_000}
PACKETS: dict[str, Callable[[bytes], Scripted]] = {
    "one packet": lambda data: Stream([data]),
    "until the end of the connection": lambda data: Stream([data], framing="close"),
    "with a length": lambda data: Stream([data], framing="length"),
    "small chunks": lambda data: Stream([data[i : i + 7] for i in range(0, len(data), 7)]),
    "byte by byte": lambda data: Drip(Stream([data], framing="close")),
}


@pytest.mark.parametrize("packets", PACKETS.values(), ids=PACKETS)
@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_a_stream_is_passed_on_byte_for_byte(
    mesh_on: MeshOn,
    connect: Connect,
    providers: Providers,
    data: bytes,
    packets: Callable[[bytes], Scripted],
    kind: str,
) -> None:
    providers.dashscope.always(packets(data))
    response = connect(mesh_on(kind)).ask(STREAMED)

    assert_is_stream(response)
    assert response.body == data


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_every_server_passes_the_bytes_on(
    client: Client, providers: Providers, data: bytes
) -> None:
    providers.dashscope.always(Stream([data]))

    assert client.ask(STREAMED).body == data


def broken(body: bytes) -> tuple[bytes, dict[str, object]]:
    """What came before the error event, and the error."""
    assert b"[DONE]" not in body
    assert body.endswith(b"\n\n")
    before, _, last = body.rpartition(b"data: ")
    error = json.loads(last)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert DASHSCOPE_KEY not in error["message"]
    return before.rstrip(b"\n"), error


BREAKS: dict[str, Callable[..., Stream]] = {
    "a reset": lambda *begun: Stream(begun, end="reset"),
    "an end of the connection": lambda *begun: Stream(begun, end="fin"),
    "a bad chunk": lambda *begun: Stream(begun, end="bad_chunk"),
    "no JSON": lambda *begun: Stream([*begun, b"data: {oops\n\n", *EVENTS[2:]]),
    "an early end": lambda *begun: Stream(begun),
    "an early end of the connection": lambda *begun: Stream(begun, framing="close"),
    "half an event": lambda *begun: Stream([*begun, EVENTS[2][:20]]),
    "half an event and a reset": lambda *begun: Stream([*begun, EVENTS[2][:20]], end="reset"),
}


@pytest.mark.parametrize("answer", BREAKS.values(), ids=BREAKS)
def test_a_stream_that_breaks_off_ends_with_an_error_event(
    client: Client, providers: Providers, answer: Callable[..., Stream]
) -> None:
    gate = Gate()
    providers.dashscope.always(answer(*EVENTS[:2], gate))
    client.send(STREAMED)
    head = client.read_head()
    assert_is_stream(head)
    pieces = iter(client.read_body(head))
    body = b""
    while EVENTS[1] not in body:
        body += next(pieces)
    gate.open()
    before, error = broken(body + b"".join(pieces))

    assert body == b"".join(EVENTS[:2])
    assert before.startswith(body.rstrip(b"\n"))
    assert EVENTS[2] not in before
    assert (error["code"], error["type"]) == ("stream_interrupted", "upstream_error")
    assert DASHSCOPE in str(error["message"])


def test_a_stream_that_falls_silent_ends_with_an_error_event(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    providers.dashscope.always(Stream(EVENTS[:2], end="stall"))
    started = time.monotonic()
    before, error = broken(connect(mesh_on(server, idle_timeout=0.2)).ask(STREAMED).body)

    assert time.monotonic() - started > 0.18
    assert before == b"".join(EVENTS[:2]).rstrip(b"\n")
    assert error["code"] == "stream_interrupted"
    assert "0.2 s" in str(error["message"])
    assert providers.dashscope.requests[0].wait_disconnected()


@ASGI
def test_a_connection_outlives_a_stream_that_broke_off(
    client: Client, providers: Providers
) -> None:
    providers.dashscope.script(Stream(EVENTS[:2], end="reset"))
    broken(client.ask(STREAMED).body)

    assert client.ask(STREAMED).body.endswith(b"data: [DONE]\n\n")


def test_an_error_event_of_the_provider_passes(client: Client, providers: Providers) -> None:
    event = f"data: {json.dumps(error_body('Overloaded', code='busy'))}\n\n".encode()
    providers.dashscope.always(Stream([*EVENTS[:2], event]))
    body = client.ask(STREAMED).body

    assert body.startswith(b"".join(EVENTS[:2]) + event)
    assert b"[DONE]" not in body


def test_an_error_event_that_repeats_our_key_is_cleaned(
    client: Client, providers: Providers
) -> None:
    event = f"data: {json.dumps(error_body(f'Bad key {DASHSCOPE_KEY}'))}\n\n".encode()
    providers.dashscope.always(Stream([*EVENTS[:2], event]))
    body = client.ask(STREAMED).body

    assert b"Bad key" in body
    assert DASHSCOPE_KEY.encode() not in body


@pytest.mark.parametrize("status", [400, 429, 503])
def test_an_error_instead_of_a_stream_keeps_its_status(
    client: Client, providers: Providers, status: int
) -> None:
    body = error_body("No", code="why")
    providers.dashscope.always(Answer(status, [("retry-after", "86400")], body))
    response = client.ask(STREAMED)

    assert (response.status, response.json()) == (status, body)
    assert response.header("content-type") == "application/json"


def test_json_instead_of_a_stream_is_not_called_one(client: Client, providers: Providers) -> None:
    providers.dashscope.always(Answer(body=chat_completion("hello")))
    response = client.ask(STREAMED)

    assert (response.status, response.json()) == (200, chat_completion("hello"))
    assert response.header("content-type") == "application/json"


def test_a_stream_instead_of_json_becomes_json(client: Client, providers: Providers) -> None:
    providers.dashscope.always(Stream(EVENTS))
    response = client.ask(request_bytes(DASHSCOPE))

    assert response.status == 200
    assert response.header("content-type") == "application/json"
    assert response.json()["choices"][0]["message"]["content"] == "Hello"


def test_a_provider_without_streams_serves_one_all_the_same(
    client: Client, providers: Providers
) -> None:
    response = client.ask(request_bytes(MOONSHOT, STREAMED_CHAT))

    assert response.status == 200
    assert response.header("content-type") == "text/event-stream"
    assert b"You said: Good morning to you" in response.body
    assert response.body.endswith(DONE)
    assert providers.moonshot.requests[0].json()["stream"] is False


def test_a_client_that_reads_nothing_holds_the_provider_back(
    client: Client, providers: Providers
) -> None:
    line = json.dumps({"choices": [], "x": "y" * 60_000})
    event = f"data: {line}\n\n".encode()
    stop = threading.Event()

    def endless() -> Iterator[bytes]:
        while not stop.is_set():
            yield event

    providers.dashscope.always(Stream(endless()))
    client.send(STREAMED)
    [request] = providers.dashscope.wait_for_requests(1)
    try:
        seen, still = -1, 0
        deadline = time.monotonic() + 4
        while still < 4 and time.monotonic() < deadline:
            still = still + 1 if request.sent_bytes == seen else 0
            seen = request.sent_bytes
            time.sleep(0.05)
        # Sockets and servers hold some megabytes; without a brake it would be hundreds.
        assert still == 4, f"{seen} bytes and no end"
        assert 0 < seen < 32 * 2**20
    finally:
        stop.set()
        client.close()
        assert request.wait_disconnected()


@pytest.mark.parametrize(
    ("server", "count"),
    [("serve", 100), ("wsgiref", 25), *slow(("uvicorn-httptools", 100), ("serve", 200))],
)
async def test_many_streams_at_once_never_mix(
    mesh_on: MeshOn, providers: Providers, server: str, count: int
) -> None:
    port = mesh_on(server, connect_timeout=30)  # so many handshakes on a busy machine
    gate = Gate()

    def answer(request: RecordedRequest) -> Stream:
        word = request.json()["messages"][0]["content"]
        events = chat_stream([f"{word}.{number} " for number in range(5)])
        return Stream([events[0], gate, *events[1:]])

    async def ask(number: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = {"messages": [{"role": "user", "content": f"w{number}"}], "stream": True}
        writer.write(request_bytes(DASHSCOPE, json.dumps(body).encode(), "Connection: close"))
        received = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        assert "data: [DONE]" in received
        data = (line[6:] for line in received.splitlines() if line.startswith("data: {"))
        choices = (json.loads(event)["choices"][0] for event in data)
        return "".join(choice["delta"].get("content", "") for choice in choices)

    providers.dashscope.always(answer)
    asking = [asyncio.create_task(ask(number)) for number in range(count)]
    try:
        await asyncio.to_thread(providers.dashscope.wait_for_requests, count, 30)
    finally:
        gate.open()

    assert await asyncio.gather(*asking) == [
        "".join(f"w{number}.{part} " for part in range(5)) for number in range(count)
    ]


def test_a_waiting_stream_client_gets_signs_of_life(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    before, middle = Gate(), Gate()
    providers.dashscope.always(Stream([EVENTS[0], middle, *EVENTS[1:]], delay=before))
    client = connect(mesh_on(server, sse_keepalive=0.02))
    client.send(STREAMED)
    head = client.read_head()
    assert_is_stream(head)
    body = iter(client.read_body(head))
    assert next(body) == b": keep-alive\n\n"
    before.open()
    while (piece := next(body)) != EVENTS[0]:
        assert piece == b": keep-alive\n\n"
    assert next(body) == b": keep-alive\n\n"
    middle.open()
    rest = b"".join(body).replace(b": keep-alive\n\n", b"")

    assert rest == b"".join(EVENTS[1:])


def test_a_client_that_wants_no_stream_gets_no_signs_of_life(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    gate = Gate()
    providers.dashscope.always(Answer(body=chat_completion("x"), delay=gate))
    client = connect(mesh_on(kind, sse_keepalive=0.02))
    client.send(request_bytes(DASHSCOPE, CHAT))
    assert client.has_nothing(0.08)
    gate.open()

    assert client.read().json() == chat_completion("x")

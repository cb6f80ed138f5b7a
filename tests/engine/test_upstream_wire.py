"""What goes over the wire, byte by byte: the same list for every upstream client."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections import Counter
from typing import Literal

import pytest

from llm_mesh_middleware._core.values.messages import WholeResponse
from llm_mesh_middleware._engine.http.async_pooled_client import AsyncPooledClient
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.exceptions import (
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
)
from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Gate, Raw, Stream
from tests.engine.calls import (
    HEADERS,
    HOST,
    MakeClient,
    call,
    read_all,
    read_piece,
    request_to,
    send,
)

SIZES = (0, 1, 2**20, 2**20 + 1, 3 * 2**20)


def _bytes(size: int) -> bytes:
    """No piece of it looks like another, so that a lost or doubled one is seen."""
    return b"".join(b"%07d " % number for number in range(size // 8 + 1))[:size]


async def test_the_given_headers_arrive_and_none_of_the_client_s_own(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    await call(client, request_to(upstream, body=body))
    (seen,) = upstream.requests
    wanted = [(name.decode(), value.decode()) for name, value in HEADERS]
    got = [(name.lower(), value) for name, value in seen.headers]
    assert got.count(("content-length", str(len(body)))) == 1
    assert [field for field in got if field[0] != "content-length"] == wanted
    assert (seen.method, seen.target, seen.version) == ("POST", "/v1/chat/completions", "HTTP/1.1")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_without_a_body_has_no_content_headers(
    client: AsyncUpstreamClient, upstream: FakeUpstream, method: str
) -> None:
    upstream.always(Answer(body={"ok": True}))
    headers = ((b"host", HOST.encode()),)
    await call(client, request_to(upstream, method=method, body=b"", headers=headers))
    (seen,) = upstream.requests
    wanted = [("host", HOST)] + ([("content-length", "0")] if method == "POST" else [])
    assert sorted((name.lower(), value) for name, value in seen.headers) == sorted(wanted)
    assert seen.body == b""


async def test_request_fields_keep_their_duplicates_order_and_bytes(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream
) -> None:
    fields = (
        (b"x-tag", b"one"),
        (b"x-name", "Grüße".encode()),
        (b"x-tag", b"two"),
        (b"x-empty", b""),
    )
    await call(client, request_to(plain_upstream, headers=(*HEADERS, *fields)))
    seen = plain_upstream.requests[0].headers
    got = [(name.encode(), value.encode("latin-1")) for name, value in seen]
    assert [field for field in got if field[0].startswith(b"x-")] == list(fields)


@pytest.mark.parametrize(
    "field",
    [
        (b"x-a", b"b\r\nx-b: c"),
        (b"x-a", b"b\n"),
        (b"x-a", b"b\rc"),
        (b"x-a", b"b\0"),
        (b"x-a: b", b"c"),
        (b"x-a\r\nx-b", b"c"),
        (b"x a", b"b"),
        (b"", b"b"),
    ],
)
async def test_a_field_that_would_be_another_is_not_sent(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, field: tuple[bytes, bytes]
) -> None:
    with pytest.raises((UpstreamConnectError, UpstreamProtocolError)):
        await call(client, request_to(plain_upstream, headers=(*HEADERS, field)))
    assert plain_upstream.requests == []


async def test_answer_fields_keep_their_duplicates_order_and_bytes(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(
        Raw(
            b"HTTP/1.1 200 OK\r\nX-Tag: one\r\nX-Name: caf\xe9 \xc3\xa9\r\nx-tag: two\r\n"
            b"X-Empty:\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    response = await client.open(request_to(upstream))
    assert list(response.head.headers) == [
        (b"x-tag", b"one"),
        (b"x-name", b"caf\xe9 \xc3\xa9"),
        (b"x-tag", b"two"),
        (b"x-empty", b""),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"2"),
    ]
    assert await read_all(response) == b"ok"


@pytest.mark.parametrize("size", SIZES)
async def test_bodies_are_exact_both_ways(
    client: AsyncUpstreamClient, upstream: FakeUpstream, size: int
) -> None:
    data = _bytes(size)
    upstream.always(lambda request: Answer(body=request.body))
    assert await call(client, request_to(upstream, body=data)) == data
    assert upstream.requests[0].body == data


@pytest.mark.parametrize("status", [103, 200, 204, 429, 599])
async def test_a_status_is_handed_on_as_it_is(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, status: int
) -> None:
    informational = b"HTTP/1.1 %d Early\r\n\r\n" % status if status < 200 else b""
    final = 200 if informational else status
    head = b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % final
    plain_upstream.script(Raw(informational + head))
    response = await client.open(request_to(plain_upstream))
    assert response.head.status == final
    assert await read_all(response) == b""


async def test_bytes_are_delivered_as_they_arrive(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    gates = [Gate(), Gate()]
    upstream.script(Stream([b"one", gates[0], b"two", gates[1], b"three"]))
    async with asyncio.timeout(2):
        response = await client.open(request_to(upstream))
        assert await read_piece(response) == b"one"
        gates[0].open()
        assert await read_piece(response) == b"two"
        gates[1].open()
        assert await read_piece(response) == b"three"
        assert await read_piece(response) == b""
    await response.aclose()


async def test_the_head_is_delivered_before_the_body(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    gate = Gate()
    upstream.script(Stream([gate, b"late"]))
    async with asyncio.timeout(2):
        response = await client.open(request_to(upstream))
        assert response.head.status == 200
        gate.open()
        assert await read_all(response) == b"late"


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
async def test_the_end_of_a_body_is_told_again_and_again(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, framing: str
) -> None:
    plain_upstream.script(Stream([b"one", b"two"], framing=framing))  # type: ignore[arg-type]
    response = await client.open(request_to(plain_upstream))
    received = b""
    while data := await read_piece(response):
        received += data
    assert received == b"onetwo"
    assert await read_piece(response) == b""
    await response.aclose()


async def test_a_connection_is_used_again(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    for _ in range(3):
        await call(client, request_to(upstream))
    assert [request.connection for request in upstream.requests] == [1, 1, 1]


async def test_an_answer_that_says_close_ends_its_connection(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(Answer(headers=[("connection", "close")], body={}))
    await call(client, request_to(upstream))
    await call(client, request_to(upstream))
    assert [request.connection for request in upstream.requests] == [1, 2]


async def test_a_body_not_read_to_its_end_closes_the_connection(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(Stream([b"one", Gate(), b"never"]))
    response = await client.open(request_to(upstream))
    assert await read_piece(response) == b"one"
    await response.aclose()
    assert await asyncio.to_thread(upstream.requests[0].wait_disconnected, 1)
    assert await asyncio.to_thread(upstream.wait_closed, 1)
    await call(client, request_to(upstream))


async def test_closing_twice_is_harmless(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(Cut(Answer(body=b"12345678"), at=0.9, how="stall"))
    response = await client.open(request_to(upstream))
    await response.aclose()
    await response.aclose()
    assert await asyncio.to_thread(upstream.wait_closed, 1)


async def test_closing_the_client_closes_idle_connections(
    make_client: MakeClient, upstream: FakeUpstream
) -> None:
    client = make_client()
    await call(client, request_to(upstream))
    assert upstream.open_connections == 1
    await client.aclose()
    assert await asyncio.to_thread(upstream.wait_closed, 1)


async def test_compressed_answers_are_handed_on_raw(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream
) -> None:
    packed = gzip.compress(b'{"a":1}', mtime=0)
    plain_upstream.script(Answer(headers=[("content-encoding", "gzip")], body=packed))
    response = await client.open(request_to(plain_upstream))
    assert response.head.headers.get("content-encoding") == "gzip"
    assert await read_all(response) == packed


@pytest.mark.parametrize("status", [302, 308])
async def test_no_redirect_is_followed(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, status: int
) -> None:
    plain_upstream.script(Answer(status, [("location", f"{plain_upstream.url}/elsewhere")]))
    response = await client.open(request_to(plain_upstream))
    assert response.head.status == status
    await read_all(response)
    assert len(plain_upstream.requests) == 1


async def test_no_cookie_is_kept(client: AsyncUpstreamClient, plain_upstream: FakeUpstream) -> None:
    plain_upstream.script(Answer(headers=[("set-cookie", "id=1; Path=/")], body={}))
    await call(client, request_to(plain_upstream))
    await call(client, request_to(plain_upstream))
    assert [request.header("cookie") for request in plain_upstream.requests] == [None, None]


async def test_a_target_is_sent_to_the_letter(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream
) -> None:
    target = "/a%2Fb/%7Euser//x;v=1/chat/completions?api-version=2024-10-21&q=%20+"
    await call(client, request_to(plain_upstream, target=target))
    assert plain_upstream.requests[0].target == target


async def test_a_connection_the_upstream_has_closed_is_replaced_unseen(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    for _ in range(3):
        await call(client, request_to(upstream))
        while upstream.open_connections:  # the last answer may still count as under way
            await asyncio.to_thread(upstream.drop_connections)
    assert [request.connection for request in upstream.requests] == [1, 2, 3]


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_kept_connection_that_closes_as_the_request_comes_is_replaced_once(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, how: Literal["fin", "reset"]
) -> None:
    plain_upstream.script(Answer(body={}), Cut(how=how), Answer(body={"n": 2}), *[Cut(how=how)] * 9)
    assert await call(client, request_to(plain_upstream)) == b"{}"
    assert await call(client, request_to(plain_upstream)) == b'{"n":2}'
    assert [request.connection for request in plain_upstream.requests] == [1, 1, 2]
    for seen in (5, 6):  # closed again on the new one, and then nothing is kept any more
        with pytest.raises(UpstreamConnectError):
            await call(client, request_to(plain_upstream))
        assert len(plain_upstream.requests) == seen


async def test_calls_at_once_take_a_connection_each_which_the_next_calls_use_again(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream
) -> None:
    count, gate = 50, Gate()
    plain_upstream.always(Stream([gate, b"done"]))
    for _ in range(2):
        calls = [call(client, request_to(plain_upstream)) for _ in range(count)]
        gathered = asyncio.gather(*calls)
        await asyncio.to_thread(plain_upstream.wait_for_requests, count, 5)
        gate.open()
        assert Counter(await gathered) == {b"done": count}
        assert plain_upstream.accepted_connections == count


async def test_an_idle_connection_that_is_reset_is_nobody_s_error(
    client: AsyncUpstreamClient, upstream: FakeUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    await call(client, request_to(upstream))
    while upstream.open_connections:
        await asyncio.to_thread(upstream.drop_connections, "reset")
    await asyncio.sleep(0.02)
    await client.aclose()
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("at", [None, 0.5], ids=["before the head", "in the body"])
async def test_closing_a_client_ends_its_calls(
    contexts: TLSContexts, upstream: FakeUpstream, at: float | None
) -> None:
    upstream.script(Cut(Answer(body={"ok": True}), at=at, how="stall") if at else Cut(how="stall"))
    client = AsyncPooledClient(contexts, trust_env=False)
    calling = asyncio.create_task(call(client, request_to(upstream)))
    await asyncio.to_thread(upstream.wait_for_requests, 1)
    await client.aclose()
    async with asyncio.timeout(0.5):
        with pytest.raises(UpstreamError):
            await calling


STREAMED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[DONE]\r\n"


@pytest.mark.parametrize("tail", [b"0\r\nbad\r\n", b"0\r\nContent-Length: 9\r\n\r\n", b"rest"])
async def test_wrong_bytes_behind_a_body_are_noticed_at_once(
    make_client: MakeClient, plain_upstream: FakeUpstream, tail: bytes
) -> None:
    plain_upstream.script(Raw(STREAMED + tail, end="stall"))
    async with asyncio.timeout(2):
        with pytest.raises(UpstreamProtocolError):
            await send(make_client(), request_to(plain_upstream))


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 6\r\n\r\nanswer", b"answer"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\n\r\n", b"answer"),
    ],
)
async def test_a_body_that_comes_with_its_head_need_not_be_read(
    make_client: MakeClient, plain_upstream: FakeUpstream, framing: bytes, body: bytes
) -> None:
    plain_upstream.script(Raw(b"HTTP/1.1 200 OK\r\n" + framing))
    response = await make_client().open(request_to(plain_upstream))
    assert isinstance(response.head, WholeResponse)
    assert response.head.body == body
    assert "answer" not in repr(response.head)
    assert await read_all(response) == body


@pytest.mark.parametrize(
    "begin",
    [
        b"Content-Length: 9\r\n\r\nanswer",
        b"Transfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nbad\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\nbad\r\n",
    ],
)
async def test_a_body_that_is_not_known_to_be_whole_is_read(
    make_client: MakeClient, plain_upstream: FakeUpstream, begin: bytes
) -> None:
    plain_upstream.script(Raw(b"HTTP/1.1 200 OK\r\n" + begin))
    response = await make_client().open(request_to(plain_upstream))
    assert not isinstance(response.head, WholeResponse)
    with pytest.raises(UpstreamProtocolError):
        await read_all(response)
    await response.aclose()

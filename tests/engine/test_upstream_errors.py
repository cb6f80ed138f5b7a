"""How upstream calls fail: our exceptions, and messages without address and key."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

import pytest

from llm_mesh_middleware import UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient
from llm_mesh_middleware.testing import (
    Answer,
    CertificateAuthority,
    Cut,
    FakeUpstream,
    Gate,
    Raw,
    Scripted,
    Stream,
)
from tests.engine.calls import HOST, KEY, MakeClient, call, read_piece, request_to, send

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

NO_ANSWER: dict[str, Scripted] = {
    "closed": Cut(),
    "reset": Cut(how="reset"),
    "half the head": Cut(Answer(body="text"), after=20),
    "reset in the head": Cut(Answer(body="text"), after=20, how="reset"),
}
BROKEN_HEAD: dict[str, Scripted] = {
    "garbage": Raw(b"\x00\x01\x02 this is not HTTP\r\n\r\n"),
    "another protocol": Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a status that is no number": Raw(b"HTTP/1.1 abc OK\r\n\r\n"),
    "a field without a name": Raw(_HEAD + b": value\r\nContent-Length: 0\r\n\r\n"),
    "two lengths": Raw(_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    "a length that is no number": Raw(_HEAD + b"Content-Length: -1\r\n\r\n"),
    "a field of 64 KB": Raw(_HEAD + b"X-Big: " + b"a" * 65536 + b"\r\nContent-Length: 0\r\n\r\n"),
    "a field without end": Raw(_HEAD + b"X-Big: " + b"a" * 2**20, end="stall"),
    "300 fields": Raw(_HEAD + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n"),
    "64 KB in many fields": Raw(
        _HEAD + b"".join(b"X-%05d: %b\r\n" % (i, b"a" * 1000) for i in range(70)) + b"\r\n"
    ),
}
BROKEN_BODY: dict[str, Scripted] = {
    "fewer bytes than the length": Answer(headers=[("content-length", "99")], body=b"short"),
    "closed in a chunked body": Stream([b"one"], end="fin"),
    "reset in a chunked body": Stream([b"one"], end="reset"),
    "a bad chunk": Stream([b"one"], end="bad_chunk"),
    "reset in a body without length": Stream([b"one"], framing="close", end="reset"),
    "reset in a body of known length": Cut(Answer(body=b"x" * 5000), after=4000, how="reset"),
}


def _is_discreet(text: str, upstream: FakeUpstream) -> bool:
    hidden = (KEY, KEY[:8], "Bearer", "127.0.0.1", "localhost", str(upstream.port), "/v1/")
    return text.startswith(HOST) and not any(part in text for part in hidden)


@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
async def test_an_upstream_that_gives_no_answer_is_a_connect_error(
    client: AsyncUpstreamClient, upstream: FakeUpstream, answer: Scripted
) -> None:
    upstream.always(answer)
    with pytest.raises(UpstreamConnectError) as caught:
        await client.open(request_to(upstream))
    assert _is_discreet(str(caught.value), upstream)
    assert len(upstream.requests) == 1  # retries are the exchange's business
    assert await asyncio.to_thread(upstream.wait_closed)


@pytest.mark.parametrize("answer", BROKEN_HEAD.values(), ids=BROKEN_HEAD)
async def test_a_broken_head_is_a_protocol_error(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream, answer: Scripted
) -> None:
    plain_upstream.always(answer)
    async with asyncio.timeout(2):
        with pytest.raises(UpstreamProtocolError) as caught:
            await client.open(request_to(plain_upstream))
    assert _is_discreet(str(caught.value), plain_upstream)
    assert len(plain_upstream.requests) == 1
    assert await asyncio.to_thread(plain_upstream.wait_closed)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("another protocol", "something that is not HTTP: its status line is invalid"),
        ("two lengths", "something that is not HTTP: its length is invalid"),
        ("a field without end", "something that is not HTTP: its head is longer than 131072 bytes"),
    ],
)
async def test_a_broken_head_is_told_by_what_is_wrong_with_it(
    make_client: MakeClient, plain_upstream: FakeUpstream, fault: str, told: str
) -> None:
    plain_upstream.always(BROKEN_HEAD[fault])
    with pytest.raises(UpstreamProtocolError, match=told):
        await make_client().open(request_to(plain_upstream))


@pytest.mark.parametrize("answer", BROKEN_BODY.values(), ids=BROKEN_BODY)
async def test_a_broken_body_is_a_protocol_error_and_never_an_end(
    client: AsyncUpstreamClient, upstream: FakeUpstream, answer: Scripted
) -> None:
    upstream.always(answer)
    with pytest.raises(UpstreamProtocolError) as caught:
        await send(client, request_to(upstream))
    assert _is_discreet(str(caught.value), upstream)
    assert await asyncio.to_thread(upstream.wait_closed)


@pytest.mark.parametrize("wait", ["for the rest", "before the rest"])
@pytest.mark.parametrize("end", ["fin", "reset", "bad_chunk"])
async def test_a_break_is_seen_by_a_read_that_waits_and_by_a_later_one(
    client: AsyncUpstreamClient, upstream: FakeUpstream, end: str, wait: str
) -> None:
    gate = Gate()
    upstream.script(Stream([b"one", gate], end=end))  # type: ignore[arg-type]
    async with asyncio.timeout(2):
        response = await client.open(request_to(upstream))
        assert await read_piece(response) == b"one"
        if wait == "before the rest":
            gate.open()
            await asyncio.to_thread(upstream.wait_closed)
        reading = asyncio.ensure_future(read_piece(response))
        await asyncio.sleep(0)
        gate.open()
        with pytest.raises(UpstreamProtocolError):
            await reading
        await response.aclose()


async def test_a_head_of_many_fields_is_fine(
    client: AsyncUpstreamClient, plain_upstream: FakeUpstream
) -> None:
    fields = [(f"x-ratelimit-{number}", "a" * 100) for number in range(100)]
    plain_upstream.script(Answer(headers=fields, body=b"ok"))
    assert await call(client, request_to(plain_upstream)) == b"ok"


async def test_a_refused_connection_is_a_connect_error(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    request = request_to(upstream)
    upstream.close()
    with pytest.raises(UpstreamConnectError, match="refused") as caught:
        await client.open(request)
    assert _is_discreet(str(caught.value), upstream)


async def test_the_client_recovers_after_a_refused_connection(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    request = request_to(upstream)
    await call(client, request)
    upstream.close()
    with pytest.raises(UpstreamConnectError):
        await client.open(request)
    upstream.start()
    await call(client, request)


async def test_a_name_that_does_not_resolve_is_a_connect_error(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    with pytest.raises(UpstreamConnectError, match="name cannot be resolved") as caught:
        await client.open(request_to(upstream, address="nowhere.invalid"))
    assert _is_discreet(str(caught.value), upstream)
    assert "invalid" not in str(caught.value)


BAD_CERTIFICATES = {
    "another name": "its certificate is for another host name",
    "expired": "its certificate has expired",
    "self-signed": "its certificate is not from a known authority",
    "unknown authority": "its certificate is not from a known authority",
}


def bad_certificate(ca: CertificateAuthority, fault: str) -> ssl.SSLContext:
    return {
        "another name": lambda: ca.issue("other.example"),
        "expired": lambda: ca.issue(HOST, expired=True),
        "self-signed": lambda: ca.issue(HOST, self_signed=True),
        "unknown authority": lambda: CertificateAuthority().issue(HOST),
    }[fault]()


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
async def test_a_bad_certificate_is_refused_before_anything_is_sent(
    client: AsyncUpstreamClient, ca: CertificateAuthority, fault: str
) -> None:
    with FakeUpstream(host_names=HOST, tls=bad_certificate(ca, fault)) as upstream:
        with pytest.raises(UpstreamConnectError, match="certificate") as caught:
            await client.open(request_to(upstream))
        assert _is_discreet(str(caught.value), upstream)
        assert upstream.requests == []
        assert await asyncio.to_thread(upstream.wait_closed)


@pytest.mark.parametrize(("fault", "told"), BAD_CERTIFICATES.items())
async def test_what_is_wrong_with_a_certificate_is_told(
    make_client: MakeClient, ca: CertificateAuthority, fault: str, told: str
) -> None:
    with (
        FakeUpstream(host_names=HOST, tls=bad_certificate(ca, fault)) as upstream,
        pytest.raises(UpstreamConnectError, match=told),
    ):
        await make_client().open(request_to(upstream))


async def test_plain_http_where_tls_is_wanted_is_a_connect_error(
    client: AsyncUpstreamClient,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UpstreamConnectError, match="TLS") as caught:
            await client.open(request_to(f"https://127.0.0.1:{port}"))
    assert str(port) not in str(caught.value)


async def test_a_connection_that_is_closed_in_the_handshake_was_not_refused(
    make_client: MakeClient,
) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(leave, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UpstreamConnectError, match="closed in the TLS handshake"):
            await make_client().open(request_to(f"https://127.0.0.1:{port}"))


async def test_tls_where_plain_http_is_spoken_fails(
    client: AsyncUpstreamClient, tls_upstream: FakeUpstream
) -> None:
    url = tls_upstream.url.replace("https:", "http:")
    with pytest.raises((UpstreamConnectError, UpstreamProtocolError)) as caught:
        await client.open(request_to(url))
    assert _is_discreet(str(caught.value), tls_upstream)


async def test_a_handshake_that_never_ends_is_a_timeout_while_connecting(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca, mute=True) as upstream:
        before = time.monotonic()
        with pytest.raises(UpstreamTimeout, match=r"within 0\.05 s") as caught:
            await client.open(request_to(upstream, connect_timeout_s=0.05))
        assert time.monotonic() - before < 10
        assert caught.value.phase == "connect"
        assert _is_discreet(str(caught.value), upstream)
        assert await asyncio.to_thread(upstream.wait_closed)


async def test_a_connection_that_nobody_accepts_is_a_timeout_while_connecting(
    client: AsyncUpstreamClient,
) -> None:
    with socket.socket() as listener:  # once its queue is full, Linux ignores new connections
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            request = request_to(f"http://127.0.0.1:{address[1]}", connect_timeout_s=0.05)
            with pytest.raises(UpstreamTimeout) as caught:
                await client.open(request)
    assert caught.value.phase == "connect"


async def test_the_connect_timeout_does_not_hurry_the_answer(
    client: AsyncUpstreamClient, tls_upstream: FakeUpstream
) -> None:
    await call(client, request_to(tls_upstream))
    tls_upstream.script(Stream([0.05, b"late"], delay=0.05))
    request = request_to(tls_upstream, connect_timeout_s=0.03)
    assert await call(client, request) == b"late"


async def test_cancelling_a_call_leaves_no_connection(
    client: AsyncUpstreamClient, upstream: FakeUpstream
) -> None:
    upstream.script(Cut(how="stall"))
    task = asyncio.create_task(client.open(request_to(upstream)))
    (request,) = await asyncio.to_thread(upstream.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(request.wait_disconnected, 0.5)
    assert await asyncio.to_thread(upstream.wait_closed)

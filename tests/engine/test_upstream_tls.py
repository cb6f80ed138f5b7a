"""Whom an upstream call trusts, whose name it verifies, and which connections it may share."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_mesh_middleware import UpstreamConnectError
from llm_mesh_middleware._core.values.endpoint import TLSFiles
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.engine.calls import HOST, MakeClient, call, read_piece, request_to


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncUpstreamClient:
    """One of the mesh's own: what a given transport trusts is that transport's business."""
    return make_client()


async def test_the_verified_name_is_the_provider_s_and_not_the_address(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        await call(client, request_to(upstream))
        assert upstream.requests[0].server_name == HOST


async def test_an_address_can_be_the_verified_name(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    with FakeUpstream(host_names="127.0.0.1", ca=ca) as upstream:
        await call(client, request_to(upstream, server_name="127.0.0.1"))
        assert len(upstream.requests) == 1


async def test_two_providers_behind_one_address_never_share_a_connection(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    names = ["one.example", "two.example"]
    with FakeUpstream(host_names=names, ca=ca) as upstream:
        for name in names * 2:
            await call(client, request_to(upstream, server_name=name))
        seen = [(request.server_name, request.connection) for request in upstream.requests]
    assert seen == [("one.example", 1), ("two.example", 2)] * 2


async def test_a_kept_connection_does_not_serve_a_name_its_certificate_lacks(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    with FakeUpstream(host_names="one.example", ca=ca) as upstream:
        await call(client, request_to(upstream, server_name="one.example"))
        with pytest.raises(UpstreamConnectError, match="certificate"):
            await client.open(request_to(upstream, server_name="two.example"))
        assert len(upstream.requests) == 1


async def test_other_tls_files_take_another_connection(
    client: AsyncUpstreamClient, ca: CertificateAuthority, ca_file: str
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        await call(client, request_to(upstream))
        await call(client, request_to(upstream, tls=TLSFiles(ca_file=ca_file)))
        assert [request.connection for request in upstream.requests] == [1, 2]


async def test_the_extra_authority_is_trusted_beside_the_system_s(
    make_client: MakeClient, ca: CertificateAuthority, ca_file: str, system_ca: CertificateAuthority
) -> None:
    client = make_client(contexts=TLSContexts(ca_file))
    for authority in (ca, system_ca):
        with FakeUpstream(host_names=HOST, ca=authority) as upstream:
            await call(client, request_to(upstream))
            assert len(upstream.requests) == 1


async def test_without_an_extra_authority_only_the_system_s_are_trusted(
    make_client: MakeClient, ca: CertificateAuthority, system_ca: CertificateAuthority
) -> None:
    client = make_client(contexts=TLSContexts())
    with FakeUpstream(host_names=HOST, ca=system_ca) as upstream:
        await call(client, request_to(upstream))
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        request = request_to(upstream)
        with pytest.raises(UpstreamConnectError, match="certificate"):
            await client.open(request)
        assert upstream.requests == []


async def test_a_provider_s_own_authority_is_trusted_for_it_alone(
    make_client: MakeClient, ca: CertificateAuthority, ca_file: str
) -> None:
    client = make_client(contexts=TLSContexts())
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        await call(client, request_to(upstream, tls=TLSFiles(ca_file=ca_file)))
        with pytest.raises(UpstreamConnectError, match="certificate"):
            await client.open(request_to(upstream))


async def test_a_client_certificate_is_shown(
    client: AsyncUpstreamClient, ca: CertificateAuthority, tmp_path: Path
) -> None:
    certificate = str(ca.write_certificate(tmp_path / "client.pem", "client.example"))
    context = ca.issue(HOST, require_client=True)
    with FakeUpstream(host_names=HOST, tls=context) as upstream:
        tls = TLSFiles(client_cert_file=certificate, client_key_file=certificate)
        await call(client, request_to(upstream, tls=tls))
        assert len(upstream.requests) == 1
        with pytest.raises(UpstreamConnectError):
            await client.open(request_to(upstream))
        assert len(upstream.requests) == 1


async def test_a_stranger_s_client_certificate_is_refused(
    client: AsyncUpstreamClient, ca: CertificateAuthority, tmp_path: Path
) -> None:
    stranger = CertificateAuthority()
    certificate = str(stranger.write_certificate(tmp_path / "client.pem", "client.example"))
    with FakeUpstream(host_names=HOST, tls=ca.issue(HOST, require_client=True)) as upstream:
        tls = TLSFiles(client_cert_file=certificate, client_key_file=certificate)
        with pytest.raises(UpstreamConnectError):
            await client.open(request_to(upstream, tls=tls))
        assert upstream.requests == []


@pytest.mark.parametrize("content", [None, b"", b"this is no certificate"])
async def test_tls_files_that_cannot_be_used_are_a_connect_error(
    client: AsyncUpstreamClient, tls_upstream: FakeUpstream, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_bytes(content)
    for tls in (TLSFiles(ca_file=str(path)), TLSFiles(None, str(path), str(path))):
        with pytest.raises(UpstreamConnectError, match="TLS files") as caught:
            await client.open(request_to(tls_upstream, tls=tls))
        assert str(caught.value).startswith(HOST)
        assert str(path) not in str(caught.value)
    assert tls_upstream.requests == []


async def test_a_provider_that_hears_no_goodbye_is_left_all_the_same(
    client: AsyncUpstreamClient, ca: CertificateAuthority
) -> None:
    """It goes on talking, and charging, for as long as it can: TLS's own goodbye waits for it."""
    with deaf_provider(ca.issue(HOST)) as (url, is_left):
        response = await client.open(request_to(url))
        assert set(await read_piece(response)) == set(b"x")
        await response.aclose()
        assert await asyncio.to_thread(is_left.wait, 0.5)


@contextmanager
def deaf_provider(context: ssl.SSLContext) -> Iterator[tuple[str, threading.Event]]:
    """A provider that sends chunks for three seconds and reads nothing meanwhile.

    The event says that nobody takes them any more.
    """
    is_left = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(2**16)
            stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(300):
                try:
                    stream.sendall(b"1\r\nx\r\n")
                except OSError:
                    is_left.set()
                    return
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", is_left
        thread.join()

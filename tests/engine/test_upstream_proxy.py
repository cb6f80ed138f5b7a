"""The process's proxy variables: ignored, for they may point at the mesh itself, unless wanted."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from llm_mesh_middleware import UpstreamConnectError, UpstreamTimeout
from llm_mesh_middleware.testing import Answer, CertificateAuthority, Cut, FakeUpstream
from tests.engine.calls import HOST, KEY, MakeClient, call, request_to

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")


@dataclass
class Tunnels:
    """A proxy that knows CONNECT, and where every name it is asked for really is."""

    port: int
    url: str = ""
    asked: list[str] = field(default_factory=list)
    fields: list[list[str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        self.asked.append(line)
        self.fields.append(fields)
        onward, to_upstream = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(_copy(reader, to_upstream), _copy(onward, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@asynccontextmanager
async def _tunnels(
    upstream: FakeUpstream, tls: ssl.SSLContext | None = None, user: str = ""
) -> AsyncIterator[Tunnels]:
    tunnels = Tunnels(upstream.port)
    server = await asyncio.start_server(tunnels.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    tunnels.url = f"{scheme}://{user}127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield tunnels


@pytest.mark.parametrize("variable", VARIABLES)
async def test_proxy_variables_are_ignored_by_default(
    make_client: MakeClient,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    with FakeUpstream(tls=False) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        await call(make_client(), request_to(upstream))
        assert proxy.accepted_connections == 0
    assert len(upstream.requests) == 1


async def test_a_trusted_proxy_carries_plain_http(
    make_client: MakeClient, plain_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeUpstream(tls=False) as proxy:
        proxy.always(Answer(body=b"by proxy"))
        monkeypatch.setenv("http_proxy", proxy.url)
        client = make_client(trust_env=True)
        assert await call(client, request_to(plain_upstream)) == b"by proxy"
        assert proxy.requests[0].target == f"{plain_upstream.url}/v1/chat/completions"
        assert proxy.requests[0].header("host") == HOST
    assert plain_upstream.requests == []


async def test_a_trusted_proxy_tunnels_tls_and_sees_no_key(
    make_client: MakeClient, tls_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _tunnels(tls_upstream) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        client = make_client(trust_env=True)
        await call(client, request_to(tls_upstream, address=HOST))
        await client.aclose()
        assert proxy.asked == [f"CONNECT {HOST}:{tls_upstream.port} HTTP/1.1"]
    assert tls_upstream.requests[0].server_name == HOST


async def test_the_name_in_a_tunnel_is_the_provider_s_and_not_the_address(
    make_client: MakeClient, tls_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _tunnels(tls_upstream) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        client = make_client(trust_env=True)
        await call(client, request_to(tls_upstream, address="backend.internal"))
        await client.aclose()
    assert proxy.asked == [f"CONNECT backend.internal:{tls_upstream.port} HTTP/1.1"]
    assert tls_upstream.requests[0].server_name == HOST


async def test_a_tunnel_may_lead_through_tls_to_the_proxy(
    make_client: MakeClient,
    tls_upstream: FakeUpstream,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _tunnels(tls_upstream, ca.issue("127.0.0.1")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        client = make_client(trust_env=True)
        for _ in range(2):
            assert await call(client, request_to(tls_upstream, address=HOST))
        await client.aclose()
    assert {request.server_name for request in tls_upstream.requests} == {HOST}


async def test_credentials_in_the_proxy_s_url_go_to_the_proxy_only(
    make_client: MakeClient,
    tls_upstream: FakeUpstream,
    plain_upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = "Basic " + base64.b64encode(b"user:p@ss").decode()
    async with _tunnels(tls_upstream, user="user:p%40ss@") as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url)
        monkeypatch.setenv("http_proxy", plain_upstream.url.replace("://", "://user:p%40ss@"))
        client = make_client(trust_env=True)
        await call(client, request_to(tls_upstream, address=HOST))
        await call(client, request_to("http://127.0.0.1:9"))
        await client.aclose()
    (fields,) = tunnel.fields
    assert [each for each in fields if each.lower().startswith("proxy-auth")][0].endswith(sent)
    assert plain_upstream.requests[0].header("proxy-authorization") == sent
    assert tls_upstream.requests[0].header("proxy-authorization") is None


async def test_a_proxy_that_does_not_answer_connect_is_a_timeout_while_connecting(
    make_client: MakeClient, tls_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeUpstream(tls=False) as proxy:
        proxy.always(Cut(how="stall"))
        monkeypatch.setenv("https_proxy", proxy.url)
        client = make_client(trust_env=True)
        async with asyncio.timeout(2):
            with pytest.raises(UpstreamTimeout) as caught:
                await client.open(request_to(tls_upstream, connect_timeout_s=0.05))
        assert caught.value.phase == "connect"
        assert await asyncio.to_thread(proxy.wait_closed, 1)


async def test_no_proxy_is_respected(
    make_client: MakeClient, plain_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeUpstream(tls=False) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await call(make_client(trust_env=True), request_to(plain_upstream))
        assert proxy.accepted_connections == 0


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_opens_no_tunnel_is_a_connect_error(
    make_client: MakeClient,
    tls_upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    with FakeUpstream(tls=False) as proxy:
        proxy.always(Answer(status, body=b"no"))
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(UpstreamConnectError, match="proxy") as caught:
            await make_client(trust_env=True).open(request_to(tls_upstream))
        assert str(proxy.port) not in str(caught.value)
        assert ("credentials" in str(caught.value)) == (status == 407)
        assert not any(KEY in value for request in proxy.requests for _, value in request.headers)
    assert tls_upstream.requests == []


async def test_a_proxy_that_is_not_there_is_a_connect_error(
    make_client: MakeClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeUpstream(tls=False) as proxy:
        url, port = proxy.url, proxy.port
    monkeypatch.setenv("all_proxy", url)
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(UpstreamConnectError, match="the proxy refused the connection") as caught:
        await make_client(trust_env=True).open(request_to(upstream))
    assert str(port) not in str(caught.value)


async def test_a_proxy_whose_name_is_unknown_is_told_apart_from_a_provider(
    make_client: MakeClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy.invalid:3128")
    with pytest.raises(UpstreamConnectError, match="the proxy's name cannot be resolved"):
        await make_client(trust_env=True).open(request_to(upstream))


async def test_a_proxy_may_be_written_without_a_scheme(
    make_client: MakeClient, plain_upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeUpstream(tls=False) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        await call(make_client(trust_env=True), request_to(plain_upstream))
        assert len(proxy.requests) == 1


async def test_a_proxy_of_another_kind_is_a_connect_error(
    make_client: MakeClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "socks5://someone:hidden@127.0.0.1:1080")
    with pytest.raises(UpstreamConnectError, match="not an HTTP proxy") as caught:
        await make_client(trust_env=True).open(request_to(upstream))
    assert "hidden" not in str(caught.value)


async def test_netrc_is_not_read(
    make_client: MakeClient,
    plain_upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(netrc.parent))
    headers = ((b"host", HOST.encode()),)
    for trust_env in (False, True):
        client = make_client(trust_env=trust_env)
        await call(client, request_to(plain_upstream, headers=headers))
    assert [request.header("authorization") for request in plain_upstream.requests] == [None, None]

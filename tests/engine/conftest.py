"""All upstream clients, and the provider that they call, with and without TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from llm_mesh_middleware._core.values.endpoint import TLSFiles
from llm_mesh_middleware._engine.http.async_pooled_client import AsyncPooledClient
from llm_mesh_middleware._engine.http.async_transport_client import AsyncTransportClient
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.conftest import slow
from tests.engine.calls import HOST, MakeClient
from tests.engine.threaded import ThreadedClient

CLIENTS = {"loop": AsyncPooledClient, "threads": ThreadedClient}


@pytest.fixture(params=["aiohttp", "httpx"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an asynchronous client, as `LLM_MESH_UPSTREAM_CLIENT` has it."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def contexts(ca_file: str) -> TLSContexts:
    """One for the whole run: to load the system's authorities takes longer than a test."""
    return TLSContexts(ca_file)


@pytest.fixture(params=CLIENTS)
async def make_client(
    request: pytest.FixtureRequest, contexts: TLSContexts
) -> AsyncIterator[MakeClient]:
    """`make_client(trust_env=False, contexts=...)`; closed when the test ends."""
    made: list[AsyncUpstreamClient] = []

    def make(*, trust_env: bool = False, contexts: TLSContexts = contexts) -> AsyncUpstreamClient:
        made.append(CLIENTS[request.param](contexts, trust_env=trust_env))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture(params=[*CLIENTS, *slow("given transport")])
async def client(
    request: pytest.FixtureRequest, contexts: TLSContexts
) -> AsyncIterator[AsyncUpstreamClient]:
    """A client of each kind, and one on a transport of httpx's that the mesh was given."""
    if request.param in CLIENTS:
        client: AsyncUpstreamClient = CLIENTS[request.param](contexts)
        yield client
        await client.aclose()
        return
    async with httpx.AsyncHTTPTransport(verify=contexts.get(TLSFiles())) as transport:
        yield AsyncTransportClient(transport)


@pytest.fixture(params=["tls", *slow("plain")])
def upstream(request: pytest.FixtureRequest, ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=request.param == "tls", ca=ca) as upstream:
        yield upstream


@pytest.fixture
def tls_upstream(ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        yield upstream


@pytest.fixture
def plain_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        yield upstream


@pytest.fixture
def system_ca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CertificateAuthority:
    """An authority that the whole process trusts, as if the operating system had it."""
    authority = CertificateAuthority()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "system.pem")))
    return authority

"""Rotated certificates: new connections go by the new files, open ones go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from llm_mesh_middleware import Mesh, MeshSettings, UpstreamConnectError
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import (
    CertificateAuthority,
    FakeUpstream,
    Gate,
    Stream,
    chat_stream,
)
from tests.engine.meshes import QUESTION, chat, open_chat
from tests.reload.conftest import ALWAYS_S
from tests.reload.versions import HOST, manifest, save

EVENTS = chat_stream(["Good ", "day"])


@pytest.fixture(params=["aiohttp", "httpx"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def other_ca() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture
def trusted(tmp_path: Path, ca: CertificateAuthority) -> Path:
    return ca.write(tmp_path / "trusted.pem")


@pytest.fixture
async def make_mesh(engine: str, file: Path, trusted: Path) -> AsyncIterator[Callable[..., Mesh]]:
    """`make_mesh(upstream, where)`: what it trusts is said by the manifest or by a setting."""
    made: list[Mesh] = []

    def make(upstream: FakeUpstream, where: str = "manifest") -> Mesh:
        in_manifest = where == "manifest"
        file.write_text(manifest(1, spec=f"  tls: {{caFile: {trusted}}}\n" if in_manifest else ""))
        settings = MeshSettings(
            reload_interval=ALWAYS_S,
            endpoints=upstream.endpoints,
            upstream_client=engine,  # type: ignore[arg-type]
            ca_file=None if in_manifest else str(trusted),
        )
        made.append(Mesh(file, settings=settings))
        return made[-1]

    yield make
    for mesh in made:
        await mesh.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["manifest", "setting"])
async def test_a_rotated_authority_is_trusted_for_new_connections(
    make_mesh: Callable[..., Mesh],
    trusted: Path,
    ca: CertificateAuthority,
    other_ca: CertificateAuthority,
    where: str,
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        mesh = make_mesh(upstream, where)
        assert (await chat(mesh))[0] == 200
    with FakeUpstream(host_names=HOST, ca=other_ca, port=upstream.port) as upstream:
        with pytest.raises(UpstreamConnectError):
            await chat(mesh)
        save(trusted, other_ca.pem.decode())
        assert (await chat(mesh))[0] == 200
    assert mesh.status().generation == 2


def test_the_synchronous_client_follows_too(
    make_mesh: Callable[..., Mesh],
    trusted: Path,
    ca: CertificateAuthority,
    other_ca: CertificateAuthority,
) -> None:
    def status(mesh: Mesh) -> int:
        host = mesh.find(HOST.encode())
        assert host is not None
        headers = Headers([(b"content-type", b"application/json")])
        body = json.dumps(QUESTION).encode()
        delivery = mesh.send(host, ClientRequest("POST", "/", headers, body))
        delivery.take()
        delivery.close()
        return delivery.reply.status

    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        mesh = make_mesh(upstream)
        assert status(mesh) == 200
    with FakeUpstream(host_names=HOST, ca=other_ca, port=upstream.port):
        save(trusted, other_ca.pem.decode())
        assert status(mesh) == 200
        mesh.close()


@pytest.mark.parametrize("where", ["manifest", "setting"])
async def test_an_authority_that_cannot_be_read_leaves_the_last_good_one(
    make_mesh: Callable[..., Mesh], trusted: Path, ca: CertificateAuthority, where: str
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        mesh = make_mesh(upstream, where)
        save(trusted, "half a certif")
        assert (await chat(mesh))[0] == 200
        status = mesh.status()
        assert (status.state, status.generation) == ("stale", 1)
        assert "cannot be used" in status.problems[0].message


async def test_a_rotation_cuts_no_stream_and_leaves_no_connection_behind(
    make_mesh: Callable[..., Mesh], trusted: Path, ca: CertificateAuthority, engine: str
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        mesh, gate = make_mesh(upstream), Gate()
        upstream.script(Stream([*EVENTS[:2], gate, *EVENTS[2:]]))
        stream = await open_chat(mesh, stream=True)
        body = aiter(stream)
        received = await anext(body)
        save(trusted, f"rotated\n{ca.pem.decode()}")
        assert (await chat(mesh))[0] == 200
        gate.open()
        received += b"".join([data async for data in body])
        await stream.aclose()
        assert received == b"".join(EVENTS)
        for number in range(4):
            save(trusted, f"rotated again, {number}\n{ca.pem.decode()}")
            assert (await chat(mesh))[0] == 200
        assert mesh.status().generation == 6
        async with asyncio.timeout(2):
            while upstream.open_connections > 1:
                await asyncio.sleep(0.01)
        await mesh.aclose()
        assert upstream.wait_closed()


async def test_a_reload_keeps_connections_whose_files_are_as_they_were(
    make_mesh: Callable[..., Mesh], ca: CertificateAuthority
) -> None:
    with FakeUpstream(host_names=HOST, ca=ca) as upstream:
        mesh = make_mesh(upstream)
        for _ in range(3):
            assert (await chat(mesh))[0] == 200
            mesh.reload()
        assert [request.connection for request in upstream.requests] == [1, 1, 1]

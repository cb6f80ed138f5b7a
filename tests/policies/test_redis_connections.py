"""Connections to a real server: over TLS with a password, after a fork, and when they end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_mesh_middleware._engine.ports.redis_store import RedisStore
from llm_mesh_middleware.stores import BucketChange, BucketClaim, Reserve, Settle
from llm_mesh_middleware.testing import CertificateAuthority
from tests.canaries import canary
from tests.policies.servers import Server

HOUR = 3_600_000_000
BUCKET = "{b}:t"
ONE = Reserve((BucketClaim(BUCKET, HOUR // 10, HOUR),))
BACK = Settle((BucketChange(BUCKET, -HOUR // 10),))


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    store = RedisStore(server.url, timeout_s=5)
    yield store
    store.close()


@pytest.fixture
def tls_url(program: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a server that speaks TLS and wants a password."""
    authority = CertificateAuthority()
    ca = authority.write(tmp_path / "ca.pem")
    own = str(authority.write_certificate(tmp_path / "server.pem", "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    files = ("--tls-cert-file", own, "--tls-key-file", own, "--tls-ca-cert-file", str(ca))
    try:
        server = Server("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    except AssertionError:
        pytest.skip(f"{program} was built without TLS")
    password = canary("store")
    server.client.acl_setuser(
        "mesh", enabled=True, passwords=[f"+{password}"], commands=["+@all"], keys=["*"]
    )
    yield f"rediss://mesh:{password}@127.0.0.1:{port}/0?ssl_ca_certs={ca}"
    server.stop()


@pytest.mark.slow
async def test_a_store_is_reached_over_tls_with_a_password(tls_url: str) -> None:
    store = RedisStore(tls_url, timeout_s=5)
    assert (await store.aask(ONE, None)).is_granted
    assert (await asyncio.to_thread(store.ask, ONE, None)).is_granted
    store.settle(BACK)
    await asyncio.to_thread(store.flush, 10)
    assert 0.89 < (await store.aask(ONE, None)).outcomes[0].left / HOUR + 0.1 < 0.91
    await store.aclose()
    store.close()


@pytest.mark.slow
async def test_a_server_whose_certificate_is_not_trusted_is_not_used(tls_url: str) -> None:
    store = RedisStore(tls_url.partition("?")[0], timeout_s=5)
    with pytest.raises(Exception, match="cannot be reached"):
        await store.aask(ONE, None)
    store.close()


async def test_all_reservations_of_an_event_loop_share_one_connection(
    server: Server, store: RedisStore
) -> None:
    before = len(server.client.client_list())
    for _ in range(3):
        found = await asyncio.gather(*(store.aask(ONE, None) for _ in range(20)))
        assert all(each.outcomes for each in found)
        assert len(server.client.client_list()) - before == 1
    await store.aclose()


async def test_a_connection_that_the_server_has_closed_is_not_a_failure(
    server: Server, store: RedisStore
) -> None:
    for _ in range(3):
        assert (await store.aask(ONE, None)).is_granted
        assert (await asyncio.to_thread(store.ask, ONE, None)).is_granted
        server.client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.02)  # for the loop to see that it has ended
    assert not store.is_away
    await store.aclose()


async def test_a_cancelled_call_leaves_no_answer_for_the_next(
    server: Server, store: RedisStore
) -> None:
    empty = Reserve((BucketClaim("{empty}:t", 2 * HOUR, HOUR),))
    assert (await store.aask(empty, None)).is_granted
    for turn in range(20):
        task = asyncio.create_task(store.aask(empty, None))  # is refused
        await asyncio.sleep(0.0002 * (turn % 5))
        task.cancel()
        granted = await store.aask(Reserve((BucketClaim("{other}:t", 0, HOUR),)), None)
        assert granted.is_granted
        await asyncio.wait((task,))
    await store.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_connections_of_its_own(server: Server, store: RedisStore) -> None:
    asyncio.run(_asked(store))
    assert store.ask(ONE, None).is_granted
    child = os.fork()
    if child == 0:
        try:
            is_granted = store.ask(ONE, None).is_granted
            asyncio.run(_asked(store))
            store.settle(BACK)
            store.flush(10)
        except BaseException:
            os._exit(2)
        os._exit(0 if is_granted else 1)
    assert all(store.ask(ONE, None).is_granted for _ in range(3))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    left = store.ask(Reserve((BucketClaim(BUCKET, 0, HOUR),)), None).outcomes[0].left
    assert abs(left / HOUR - 0.4) < 0.01  # seven were taken, one was given back


async def _asked(store: RedisStore) -> None:
    assert (await store.aask(ONE, None)).is_granted
    await store.aclose()

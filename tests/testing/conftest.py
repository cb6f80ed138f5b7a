"""Upstreams over plain TCP and TLS, and sockets to them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.testing.clients import HOST, Connect


@pytest.fixture(scope="module")
def ca() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def upstream(request: pytest.FixtureRequest, ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=request.param, ca=ca) as upstream:
        yield upstream


@pytest.fixture
def connect(upstream: FakeUpstream) -> Iterator[Connect]:
    """Open a socket to the upstream, through TLS if it speaks TLS."""
    with ExitStack() as stack:

        def connect() -> socket.socket:
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", upstream.port), 2))
            if not upstream.url.startswith("https"):
                return sock
            # A TLS stream cut short is an error here, so that `fin` stands for a proper goodbye.
            tls = upstream.ca.client_context().wrap_socket(
                sock, server_hostname=HOST, suppress_ragged_eofs=False
            )
            return stack.enter_context(tls)

        yield connect

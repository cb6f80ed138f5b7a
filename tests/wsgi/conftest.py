"""One process of each server for all its tests, in front of providers that outlive them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.adapters.wire import Client, Connect
from tests.canaries import watched
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MANIFESTS, MOONSHOT, MOONSHOT_KEY
from tests.wsgi.servers import SERVERS, environment


@pytest.fixture(scope="module")
def kept_upstream(ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=DASHSCOPE_KEY) as upstream:
        yield upstream


@pytest.fixture
def upstream(kept_upstream: FakeUpstream) -> FakeUpstream:
    kept_upstream.clear()
    return kept_upstream


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """The name of each server in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def port(
    server: str,
    kept_upstream: FakeUpstream,
    ca_file: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    """Where the server in turn answers."""
    start, options = SERVERS[server]
    log = tmp_path_factory.mktemp("server") / "errors.log"
    environ = environment(
        config=json.dumps([str(MANIFESTS)]),
        endpoints=json.dumps({DASHSCOPE: kept_upstream.url, MOONSHOT: kept_upstream.url}),
        ca_file=ca_file,
        max_request_bytes="100000",
    )
    keys = {"YOUR_DASHSCOPE_API_KEY": DASHSCOPE_KEY, "YOUR_MOONSHOT_API_KEY": MOONSHOT_KEY}
    with start(options, environ | keys, log) as port:
        yield port
    assert "Traceback" not in log.read_text()
    watched("the server's log", log.read_text())


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(Client(port))

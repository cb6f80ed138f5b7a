"""One upstream, one mesh before it, and any server for it, kept for the whole run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_mesh_middleware import MeshSettings
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.adapters.wire import QUESTION, Client, Response, request_bytes
from tests.streams.serving import HOSTS, MANIFEST, PLAIN, SECURE, Ends, mesh_app, serving

DEFAULT_SERVER = "uvicorn-httptools"


@dataclass
class Site:
    """A provider (with a twin behind TLS), the mesh before it, and what was seen of the exchanges.

    `site.port(server, **settings)` starts a server on first use; equal ones are one.
    """

    upstream: FakeUpstream
    secure: FakeUpstream
    config: Path
    ca_file: str
    _stack: ExitStack
    _ports: dict[tuple[str, str], tuple[int, Ends]] = field(default_factory=dict)

    def settings(self, **overrides: object) -> MeshSettings:
        endpoints = dict.fromkeys(HOSTS, self.upstream.url) | {SECURE: self.secure.url}
        values: dict[str, object] = {"config": (str(self.config),), "endpoints": endpoints}
        return MeshSettings(**(values | {"ca_file": self.ca_file} | overrides))  # type: ignore[arg-type]

    def start(self, server: str = DEFAULT_SERVER, **settings: object) -> tuple[int, Ends]:
        """The port, and the ends seen by its mesh from now on."""
        key = server, repr(sorted(settings.items()))
        if key not in self._ports:
            ends = Ends()
            app = mesh_app(self.settings(**settings), ends)
            self._ports[key] = self._stack.enter_context(serving(app, server)), ends
        port, ends = self._ports[key]
        ends.seen.clear()
        return port, ends

    def port(self, server: str = DEFAULT_SERVER, **settings: object) -> int:
        return self.start(server, **settings)[0]

    def ask(
        self,
        host: str = PLAIN,
        *extra: str,
        target: str = "/v1/chat/completions",
        **members: object,
    ) -> Response:
        """The mesh's whole answer to a chat request with these members."""
        with Client(self.port()) as client:
            return client.ask(chat(host, *extra, target=target, **members))


def chat(
    host: str = PLAIN, *extra: str, target: str = "/v1/chat/completions", **members: object
) -> bytes:
    """The bytes of a chat request."""
    body = json.dumps({"model": "m-1"} | QUESTION | members).encode()
    return request_bytes(host, body, *extra, target=target)


@pytest.fixture(scope="session")
def kept_site(
    ca: CertificateAuthority, ca_file: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    config = tmp_path_factory.mktemp("streams") / "mesh.yaml"
    config.write_text(MANIFEST)
    with (
        FakeUpstream(tls=False) as upstream,
        FakeUpstream(host_names=SECURE, ca=ca) as secure,
        ExitStack() as stack,
    ):
        yield Site(upstream, secure, config, ca_file, stack)


@pytest.fixture
def site(kept_site: Site) -> Site:
    """The site of all tests, with nothing scripted and nothing seen yet."""
    kept_site.upstream.clear()
    kept_site.secure.clear()
    return kept_site


@pytest.fixture
def upstream(site: Site) -> FakeUpstream:
    return site.upstream


@pytest.fixture
def connect() -> Iterator[Callable[[int], Client]]:
    """`connect(port) -> Client`, closed when the test ends."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(Client(port))

"""A provider on a socket, a mesh before it, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import httpx2

from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import FakeUpstream, RecordedRequest, Scripted

__all__ = ["HOST", "Bench", "bench", "provider"]

HOST = "models.example"


def provider(
    config: Mapping[str, Any], endpoint: str, *, host: str = HOST, **spec: Any
) -> LLMProvider:
    """A provider with a `defaultConfig`."""
    return LLMProvider.model_validate(
        {
            "metadata": {"name": host.partition(".")[0]},
            "spec": {
                "host": host,
                "endpoint": endpoint,
                "configs": {"defaultConfig": config},
                **spec,
            },
        }
    )


class Bench:
    """The provider, its mesh, and a client of the mesh."""

    def __init__(self, upstream: FakeUpstream, mesh: Mesh, client: httpx2.Client) -> None:
        self.upstream = upstream
        self.mesh = mesh
        self.client = client

    def answer(self, *answers: Scripted) -> None:
        """Forget the past; the provider gives these answers next."""
        self.upstream.clear()
        self.upstream.script(*answers)

    @property
    def asked(self) -> RecordedRequest:
        """The one request that the provider got."""
        (request,) = self.upstream.requests
        return request


@contextmanager
def bench(config: Mapping[str, Any], *, host: str = HOST, **spec: Any) -> Iterator[Bench]:
    """Yield a bench whose provider has `config`; an `endpoint` of the spec is another server's."""
    with FakeUpstream(host_names=host, tls=False) as upstream:
        made = provider(config, **{"endpoint": upstream.url, "host": host, **spec})
        mesh = Mesh([made, _impatient(host)], settings=MeshSettings())
        with closing(mesh), httpx2.Client(transport=MeshTransport(mesh)) as client:
            yield Bench(upstream, mesh, client)


def _impatient(host: str) -> LLMRoute:
    """The route that a provider has without one, but for the pauses between attempts."""
    rule = {"backendRefs": [{"providerHost": host}], "retry": {"backoff": "1ms"}}
    return LLMRoute.model_validate(
        {"metadata": {"name": "all"}, "spec": {"host": host, "rules": [rule]}}
    )

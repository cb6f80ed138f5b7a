"""The pytest plugin: fixtures that test routes without a key and without a socket.

pytest loads this module in every run, so it imports nothing else; the fixtures do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llm_mesh_middleware.testing import MemoryUpstream

    from .client import MakeClient, MeshClient

__all__ = ["llm_mesh", "llm_upstream"]


@pytest.fixture
def llm_upstream() -> MemoryUpstream:
    """Every provider at once, in memory: it can be scripted, and shows what it was asked."""
    from llm_mesh_middleware.testing import MemoryUpstream

    return MemoryUpstream()


@pytest.fixture
def llm_mesh(llm_upstream: MemoryUpstream) -> Iterator[MakeClient]:
    """`llm_mesh("mesh.yaml", **settings)`: an HTTP client whose calls these manifests route.

    They end at `llm_upstream`. Keys that the manifests take from variables which are not set are
    made up; settings are their defaults, whatever the shell is set up for. `client.mesh` is the
    mesh, for `client.mesh.attributes(...)`, and to put before an application.
    """
    from .client import make_client

    with ExitStack() as stack:

        def make(config: Any, **settings: Any) -> MeshClient:
            client = make_client(llm_upstream, config, settings)
            stack.callback(client.close)
            return client

        yield make

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
    """Stand for every provider, in memory: it can be scripted, and records requests."""
    from llm_mesh_middleware.testing import MemoryUpstream

    return MemoryUpstream()


@pytest.fixture
def llm_mesh(llm_upstream: MemoryUpstream) -> Iterator[MakeClient]:
    """`llm_mesh("mesh.yaml", **settings)`: an HTTP client whose calls these manifests route.

    They end at `llm_upstream`. Variables for keys that are not set get made-up values, and settings
    have their defaults, regardless of the shell. `client.mesh` is the mesh, for
    `client.mesh.attributes(...)` and for an application under test.
    """
    from .client import make_client

    with ExitStack() as stack:

        def make(config: Any, **settings: Any) -> MeshClient:
            client = make_client(llm_upstream, config, settings)
            stack.callback(client.close)
            return client

        yield make

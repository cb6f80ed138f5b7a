"""Providers with TLS that outlive a test, and a mesh before them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_mesh_middleware import Mesh
from tests.adapters.meshes import kept_providers, providers
from tests.conftest import Providers

__all__ = ["kept_providers", "providers"]


@pytest.fixture
def mesh(providers: Providers, environment: None) -> Iterator[Mesh]:
    with_mesh = Mesh(settings=providers.settings())
    yield with_mesh
    with_mesh.close()

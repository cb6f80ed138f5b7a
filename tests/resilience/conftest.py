"""A primary and a fallback provider on plain HTTP; each refuses every key but its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.resilience.meshes import key_of


@pytest.fixture
def primary() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


@pytest.fixture
def fallback() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("fallback")) as upstream:
        yield upstream

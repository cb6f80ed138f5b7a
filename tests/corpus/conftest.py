"""One provider for all tests, and for those of a module one mesh, of which every call ends well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.corpus.bench import Bench


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def bench(provider: FakeUpstream) -> Iterator[Bench]:
    bench = Bench(provider)
    yield bench
    bench.close()

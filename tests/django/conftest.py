"""A provider, and a mesh before a Django project on a real server of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.contract.adapters import ADAPTERS, Adapter
from tests.contract.calling import Caller
from tests.django.meshes import WatchedMesh, make_mesh
from tests.resilience.meshes import key_of

Start = Callable[..., tuple[WatchedMesh, Caller]]


@pytest.fixture(scope="module", params=["django-asgi", "django-wsgi"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    with ExitStack() as stack:
        yield ADAPTERS[request.param](stack)


@pytest.fixture(scope="module")
def kept_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


@pytest.fixture
def upstream(kept_upstream: FakeUpstream) -> FakeUpstream:
    kept_upstream.clear()
    return kept_upstream


@pytest.fixture
def start(adapter: Adapter, upstream: FakeUpstream) -> Iterator[Start]:
    """`start(MIDDLEWARE=[...], attributes=...)`: a project with a mesh, and how to call it."""
    with ExitStack() as stack:

        def serve(**words: object) -> tuple[WatchedMesh, Caller]:
            mesh = make_mesh(upstream)
            return mesh, stack.enter_context(adapter.serve(mesh, **words))

        yield serve


@pytest.fixture
def plain_upstream() -> Iterator[FakeUpstream]:
    """A provider that takes any key."""
    with FakeUpstream(tls=False) as upstream:
        yield upstream

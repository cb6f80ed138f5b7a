"""Two providers, an adapter of each kind, and a world that one test puts together from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy, LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.stores import Store
from llm_mesh_middleware.testing import FakeUpstream
from tests.contract.adapters import ADAPTERS, Adapter
from tests.contract.calling import HOST, Ask, Call, Caller, Seen, seen
from tests.resilience.meshes import API, PRIMARY, Ledger, key_of, provider

# Adapters that enter the mesh by way of others: their tests repeat what those prove.
TWINS = ("django-asgi", "django-wsgi", "flask", "httpx2", "httpx2-async")
# Adapters that are put every row of a table, one on each driver. What a row is about the core
# decides, once for all of them: the others show by the first row that its decision reaches them.
THOROUGH = ("asgi", "wsgi")

# Tests put a case to every adapter, or by one of these marks to those it means something to.
WHERE: dict[str, Callable[[Any], bool]] = {
    "inbound": lambda adapter: adapter.is_inbound,
    "notices_at_once": lambda adapter: adapter.notices_at_once,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "adapter" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    wanted = [is_meant for mark, is_meant in WHERE.items() if mark in marks]
    is_slow_wanted = "not slow" not in metafunc.config.option.markexpr  # thousands are left out
    meant = [
        pytest.param(name, marks=[pytest.mark.slow] if name in TWINS else [])
        for name, kind in ADAPTERS.items()
        if all(is_meant(kind) for is_meant in wanted) and (is_slow_wanted or name not in TWINS)
    ]
    metafunc.parametrize("adapter", meant, indirect=True, scope="module")


@pytest.hookimpl(tryfirst=True)  # before those that are not wanted are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _is_a_repetition(item):
            item.add_marker(pytest.mark.slow)


def _is_a_repetition(item: pytest.Function) -> bool:
    """Whether another adapter is put this row, and this adapter another one."""
    row = dict(item.callspec.indices) if hasattr(item, "callspec") else {}
    if "adapter" not in row or item.get_closest_marker("every_row"):
        return False
    del row["adapter"]
    return any(row.values()) and item.callspec.params["adapter"] not in THOROUGH


@pytest.fixture(scope="module")
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    with ExitStack() as stack:
        yield ADAPTERS[request.param](stack)


@pytest.fixture
def adapter_name(request: pytest.FixtureRequest, adapter: Adapter) -> str:
    """The name of the adapter in `ADAPTERS`."""
    return next(name for name, kind in ADAPTERS.items() if type(adapter) is kind)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, FakeUpstream]]:
    with (
        FakeUpstream(tls=False, api_key=key_of("primary")) as primary,
        FakeUpstream(tls=False, api_key=key_of("fallback")) as fallback,
    ):
        yield {"primary": primary, "fallback": fallback}


def rule(name: str, *refs: dict[str, object], **members: object) -> dict[str, object]:
    """A rule of a route."""
    return {"name": name, "backendRefs": list(refs or (PRIMARY,)), **members}


@dataclass
class World:
    """The providers, and one mesh in front of them behind an adapter."""

    primary: FakeUpstream
    fallback: FakeUpstream
    serve: Callable[..., Caller]
    ledger: Ledger = field(default_factory=Ledger)
    _calls: list[Call] = field(default_factory=list)

    def start(
        self,
        *rules: dict[str, object],
        spec: dict[str, object] | None = None,
        fallback_spec: dict[str, object] | None = None,
        words: dict[str, object] | None = None,
        rng: Callable[[], float] = lambda: 0.0,
        policies: Sequence[LLMPolicy] = (),
        store: Store | None = None,
        **settings: object,
    ) -> Mesh:
        """Serve a route of `rules`.

        `spec` is the primary's, `fallback_spec` the other's, `words` are the application's.
        """
        given = {"rules": list(rules or (rule("only"),)), "host": HOST}
        document = {"apiVersion": API, "kind": "LLMRoute", "metadata": {"name": "chat"}}
        documents: tuple[LLMProvider | LLMRoute | LLMPolicy, ...] = (
            provider("primary", self.primary, **(spec or {})),
            provider("fallback", self.fallback, **(fallback_spec or {})),
            LLMRoute.model_validate({**document, "spec": given}),
            *policies,
        )
        mesh = Mesh(
            documents,
            settings=MeshSettings(**settings),  # type: ignore[arg-type]
            observer=self.ledger,
            rng=rng,
            store=store,
        )
        self._caller = self.serve(mesh, **(words or {}))
        return mesh

    def call(self, ask: Ask = Ask()) -> Call:  # noqa: B008 - a frozen value
        """Send a request; the answer is waited for when it is looked at."""
        call = self._caller(ask)
        self._calls.append(call)
        return call

    def ask(self, body: Any = None, /, **ask: Any) -> Seen:
        """Send a request and wait for its whole answer."""
        return seen(self.call(Ask(body, **ask)))

    def leave(self) -> None:
        """End what a test has left open."""
        for call in self._calls:
            call.leave()


@pytest.fixture
def world(adapter: Adapter, upstreams: dict[str, FakeUpstream]) -> Iterator[World]:
    for upstream in upstreams.values():
        upstream.clear()
    with ExitStack() as stack:
        world = World(
            **upstreams,
            serve=lambda mesh, **words: stack.enter_context(adapter.serve(mesh, **words)),
        )
        stack.callback(world.leave)
        yield world

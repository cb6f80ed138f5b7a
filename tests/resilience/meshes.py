"""The meshes of this folder: providers that differ in everything, and a ledger of what happened."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from llm_mesh_middleware import LLMProvider, LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware._core.values.decision import Decision
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import (
    ClientRequest,
    Failure,
    ResponseHead,
    UpstreamRequest,
)
from llm_mesh_middleware._core.values.selection import Selection
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware.exceptions import AnswerableError
from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.canaries import canary

HOST = "llm"
_WAIT_S = 10
_NUMBERS = itertools.count(1)
API = "istio.alibabacloud.com/v1"

PRIMARY = {"providerHost": "primary.example"}
FALLBACK = {"providerHost": "fallback.example", "priority": 1}
DOWN = Answer(503, body=error_body("down", type="server_error", code="overloaded"))


def key_of(name: str) -> str:
    """The API key of the provider of that name."""
    return canary(name)


def provider(name: str, upstream: FakeUpstream | None = None, **spec: object) -> LLMProvider:
    """The provider `name`.example: path, model, key and a header are like no other's."""
    config = {"model": f"{name}-model", "apiKey": key_of(name), "headers": {f"x-{name}": "1"}}
    given = {
        "host": f"{name}.example",
        "path": f"/{name}/v1/chat/completions",
        "configs": {"defaultConfig": {"openAIConfig": config}},
    }
    if upstream is not None:
        given["endpoint"] = upstream.url
    document = {"apiVersion": API, "kind": "LLMProvider", "metadata": {"name": name}}
    return LLMProvider.model_validate({**document, "spec": given | spec})


def route(*refs: Mapping[str, object], host: str = HOST, **rule: object) -> LLMRoute:
    """A route of one rule, `only`, with these backendRefs."""
    document = {"apiVersion": API, "kind": "LLMRoute", "metadata": {"name": "chat"}}
    rules = [{"name": "only", "backendRefs": list(refs), **rule}]
    return LLMRoute.model_validate({**document, "spec": {"host": host, "rules": rules}})


def two_tiers(
    primary: FakeUpstream,
    fallback: FakeUpstream,
    *,
    spec: Mapping[str, object] | None = None,
    fallback_spec: Mapping[str, object] | None = None,
    **rule: object,
) -> tuple[LLMProvider | LLMRoute, ...]:
    """The providers `primary` and `fallback`, and a route to the one and then to the other."""
    return (
        provider("primary", primary, **(spec or {})),
        provider("fallback", fallback, **(fallback_spec or {})),
        route(PRIMARY, FALLBACK, **rule),
    )


def table(*documents: LLMProvider | LLMRoute, **settings: object) -> RoutingTable:
    """The documents compiled."""
    return Mesh(documents, settings=MeshSettings(**settings))._table  # type: ignore[arg-type]


class Ledger:
    """An observer that keeps an entry for each exchange."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._news = threading.Condition()

    def __call__(self, request: ClientRequest) -> Entry:
        self.entries.append(Entry(self._news))
        return self.entries[-1]

    def decided(self, decision: str) -> int:
        """How often policies have decided so."""
        return sum(entry.decisions.count(decision) for entry in self.entries)

    def wait_decided(self, decision: str, times: int) -> None:
        """Wait until policies have decided so this often."""
        with self._news:
            assert self._news.wait_for(lambda: self.decided(decision) >= times, _WAIT_S)

    @property
    def sent(self) -> int:
        """The attempts of all exchanges."""
        return sum(event.startswith("sending") for e in self.entries for event in e.events)


class Entry(Observation):
    """One exchange as it was observed: what happened, in order, and how it ended."""

    def __init__(self, news: threading.Condition) -> None:
        self._news = news
        self.events: list[str] = []
        self.decisions: list[str] = []
        self.told: list[Decision] = []
        self.error: BaseException | None = None
        self.usage: Usage | None = None

    def selected(self, selection: Selection) -> None:
        self.events.append("selected")

    def decided(self, decision: Decision) -> None:
        with self._news:
            self.told.append(decision)
            self.decisions.append(decision.decision)
            self._news.notify_all()

    def sending(self, request: UpstreamRequest) -> None:
        self.events.append(f"sending {request.endpoint.provider_host.partition('.')[0]}")

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        error = getattr(answer, "error", None)
        self.events.append(
            f"answered {type(error).__name__}" if error else f"answered {answer.status}"  # type: ignore[union-attr]
        )

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        self.events.append(f"ended {status}")
        self.error, self.usage = error, usage


@asynccontextmanager
async def running(
    *documents: LLMProvider | LLMRoute, ledger: Ledger | None = None, **settings: object
) -> AsyncIterator[Mesh]:
    """A mesh for the running event loop; at the end nothing is under way and no task is left."""
    before = asyncio.all_tasks()
    mesh = Mesh(documents, settings=MeshSettings(**settings), observer=ledger)  # type: ignore[arg-type]
    try:
        yield mesh
    finally:
        await mesh.aclose()
    assert asyncio.all_tasks() <= before
    assert {
        name: status.in_flight for name, status in mesh.health().items() if status.in_flight
    } == {}


@dataclass(frozen=True)
class VerdictFindings:
    """What a caller of `ask` got; an error is raised by the mesh, and is written down here."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(mesh: Mesh, *fields: tuple[str, str], **members: object) -> VerdictFindings:
    """One chat request to the mesh itself, without an adapter."""
    host = mesh.find(HOST.encode())
    assert host is not None
    text = f"Good morning, {next(_NUMBERS)}"  # no request repeats another
    body = json.dumps({"messages": [{"role": "user", "content": text}], **members})
    raw = [(name.encode(), value.encode()) for name, value in fields]
    request = ClientRequest("POST", "/v1/chat/completions", Headers(raw), body.encode())
    try:
        delivery = await mesh.asend(host, request)
    except AnswerableError as error:
        return VerdictFindings(error.status, dict(error.headers), error.message.encode())
    try:
        reply = delivery.reply
        pieces = [piece async for piece in delivery] if reply.is_stream else [delivery.take()]
        headers = {name.decode(): value.decode("latin-1") for name, value in reply.headers}
        return VerdictFindings(reply.status, headers, b"".join(pieces))
    finally:
        await delivery.aclose()

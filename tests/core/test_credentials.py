"""Keys: put in last, in the field of the operation's dialect, and seen by nobody on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._auth.static_key import StaticHeader, bearer_token
from llm_mesh_middleware._core.balance.backends import Backend, Backends
from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.provider.credential import Credential
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.messages import Deadline, UpstreamRequest
from llm_mesh_middleware._core.values.steps import Send, Sleep, Step, StepResult
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from tests.canaries import canary
from tests.core.tables import ACME, provider, request, table, virtual_host
from tests.rows import rows

KEY = canary("credential")
ROUTES = table(provider(openai=f"{{apiKey: {KEY}}}"))
HERE = Endpoint(ACME, "https", ACME, 443, ACME)
DEADLINE = Deadline(0.0, "first_byte", 1.0, ACME)
BARE = UpstreamRequest(HERE, "POST", "/", ((b"host", b"acme.example"),), b"{}", 1.0)


def applied(credential: Credential, made: UpstreamRequest) -> UpstreamRequest:
    with pytest.raises(StopIteration) as stopped:
        next(credential.apply(made, lambda: 0.0, DEADLINE))
    result: UpstreamRequest = stopped.value.value
    return result


@rows(
    ("credential", "field"),
    [
        (bearer_token("k"), (b"authorization", b"Bearer k")),
        (StaticHeader(b"x-api-key", b"k"), (b"x-api-key", b"k")),
        (StaticHeader(b"api-key", b"k"), (b"api-key", b"k")),
    ],
)
def test_a_static_key_takes_the_place_of_every_field_of_its_name(
    credential: StaticHeader, field: tuple[bytes, bytes]
) -> None:
    assert applied(credential, BARE).headers == (*BARE.headers, field)
    theirs = replace(BARE, headers=((field[0], b"theirs"), *BARE.headers, (field[0], b"other")))
    assert applied(credential, theirs).headers == (*BARE.headers, field)


class Meddler(Observation):
    """Looks at what is sent, and adds a field and a key of its own."""

    def __init__(self) -> None:
        self.seen: list[UpstreamRequest] = []

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        self.seen.append(request)
        fields = ((b"traceparent", b"00-1"), (b"authorization", b"Bearer other"))
        return replace(request, headers=(*request.headers, *fields))


def begun(
    credential: Credential | None = None,
) -> tuple[Meddler, Generator[Step, StepResult, object]]:
    host = virtual_host(ROUTES, ACME)
    if credential is not None:
        (rule,) = host.rules
        (backend,) = rule.backends
        operations = backend.upstream.targets
        upstream = replace(backend.upstream, credentials=dict.fromkeys(operations, credential))
        backends = Backends([Backend(upstream, 1)])
        host = replace(host, rules=(replace(rule, backends=backends, retry=RetryPolicy()),))
    meddler = Meddler()
    steps = exchange(
        host,
        request(),
        ExchangeSettings(),
        MeshState(threading.Lock, MemoryStore()),
        clock=lambda: 1000.0,
        wall_clock=lambda: 1700000000.0,
        random=lambda: 0.0,
        observation=meddler,
    )
    return meddler, steps


def test_an_observer_sees_no_key_and_cannot_replace_it() -> None:
    meddler, steps = begun()
    send = next(steps)
    assert isinstance(send, Send)
    assert KEY.encode() not in b"".join(value for _, value in meddler.seen[0].headers)
    sent = send.request.headers
    assert [value for name, value in sent if name == b"authorization"] == [f"Bearer {KEY}".encode()]
    assert (b"traceparent", b"00-1") in sent
    steps.close()


class Fetched:
    """A credential that waits before it signs."""

    def at_once(self, request: UpstreamRequest) -> None:
        """There is nothing yet."""

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        yield Sleep(0.25)
        return replace(request, headers=(*request.headers, (b"x-date", b"%d" % wall_clock())))


def test_a_credential_may_have_the_attempt_wait() -> None:
    _, steps = begun(Fetched())
    assert next(steps) == Sleep(0.25)
    send = steps.send(None)
    assert isinstance(send, Send)
    assert send.request.headers[-1] == (b"x-date", b"1700000000")
    steps.close()

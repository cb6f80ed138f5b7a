"""Cancelling the scope of a synchronous call ends the exchange, in every phase."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._engine.drivers.delivery import Delivery
from llm_mesh_middleware._engine.tasks.cancel_scope import CancelScope
from llm_mesh_middleware.exceptions import ClientDisconnected
from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Scripted, Stream, chat_stream
from tests.resilience.meshes import FALLBACK, HOST, PRIMARY, Ledger, provider, route

EVENTS = chat_stream()
BUSY = Answer(429, [("retry-after", "20")], {})
PATIENT = {"attempts": 1, "maxRetryAfter": "30s"}
HEDGED = {"attempts": 1, "hedgeAfter": "10ms"}


@pytest.fixture
def upstreams() -> Iterator[tuple[FakeUpstream, FakeUpstream]]:
    with FakeUpstream(tls=False) as primary, FakeUpstream(tls=False) as fallback:
        yield primary, fallback


def send(mesh: Mesh, scope: CancelScope, **members: object) -> Delivery:
    host = mesh.find(HOST.encode())
    assert host is not None
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **members}).encode()
    serving, request = mesh._serving, ClientRequest("POST", "/", Headers(), body)
    return serving.run(serving.exchange(host, request), scope=scope)


def mesh_of(
    primary: FakeUpstream, fallback: FakeUpstream, *refs: dict[str, object], **rule: object
) -> tuple[Mesh, Ledger]:
    ledger = Ledger()
    documents = provider("primary", primary), provider("fallback", fallback), route(*refs, **rule)
    return Mesh(documents, settings=MeshSettings(), observer=ledger), ledger


def no_failures(mesh: Mesh) -> bool:
    return all(
        (status.state, status.in_flight, status.consecutive_failures) == ("healthy", 0, 0)
        for status in mesh.health().values()
    )


PHASES: dict[str, tuple[Scripted, dict[str, object], bool]] = {
    "while it waits for the head": (Cut(how="stall"), {"attempts": 2}, False),
    "while it waits for the body": (Cut(BUSY, at=0.9, how="stall"), {"attempts": 2}, False),
    "before the first token": (Stream([], end="stall"), {"attempts": 2}, True),
    "while a retry sleeps": (BUSY, PATIENT, False),
    "while two calls race": (Cut(how="stall"), HEDGED, False),
}


@pytest.mark.parametrize(("answer", "retry", "stream"), PHASES.values(), ids=PHASES)
def test_a_cancelled_scope_ends_the_exchange(
    upstreams: tuple[FakeUpstream, FakeUpstream],
    answer: Scripted,
    retry: dict[str, object],
    stream: bool,
) -> None:
    for upstream in upstreams:
        upstream.always(answer)
    is_race = retry is HEDGED
    mesh, ledger = mesh_of(*upstreams, PRIMARY, *([FALLBACK] if is_race else []), retry=retry)
    scope, errors = CancelScope(), []

    def work() -> None:
        try:
            send(mesh, scope, stream=stream)
        except ClientDisconnected as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    primary, fallback = upstreams
    primary.wait_for_requests(1)
    if is_race:
        fallback.wait_for_requests(1)
    while retry is PATIENT and not ledger.entries[0].events[-1].startswith("answered"):
        thread.join(0.002)
    scope.cancel()
    thread.join(2)

    assert not thread.is_alive()
    assert len(errors) == 1
    assert len(primary.requests) == 1
    assert isinstance(ledger.entries[0].error, ClientDisconnected)
    assert no_failures(mesh)
    mesh.close()


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_cancelled_stream_is_not_one_that_the_provider_broke(
    upstreams: tuple[FakeUpstream, FakeUpstream], framing: str
) -> None:
    upstreams[0].always(Stream(EVENTS[:2], end="stall", framing=framing))  # type: ignore[arg-type]
    mesh, ledger = mesh_of(*upstreams, PRIMARY)
    scope = CancelScope()
    delivery = send(mesh, scope, stream=True)
    pieces = iter(delivery)
    while EVENTS[1] not in next(pieces):
        pass
    threading.Timer(0.02, scope.cancel).start()
    with pytest.raises(ClientDisconnected):
        next(pieces)
    delivery.close()

    assert isinstance(ledger.entries[0].error, ClientDisconnected)
    assert no_failures(mesh)
    mesh.close()


def test_the_winner_of_a_race_is_cancelled_with_the_scope(
    upstreams: tuple[FakeUpstream, FakeUpstream],
) -> None:
    primary, fallback = upstreams
    primary.always(Cut(how="stall"))
    fallback.always(Cut(Answer(body={"choices": []}), at=0.9, how="stall"))
    mesh, _ = mesh_of(primary, fallback, PRIMARY, FALLBACK, retry=HEDGED)
    scope = CancelScope()

    def cancel() -> None:
        fallback.wait_for_requests(1, 5)
        time.sleep(0.05)  # its head is on the way
        scope.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(ClientDisconnected):
        send(mesh, scope)

    assert fallback.requests[0].wait_disconnected()
    mesh.close()


def test_a_kept_connection_that_died_is_replaced_after_a_fresh_one_too(
    upstreams: tuple[FakeUpstream, FakeUpstream],
) -> None:
    primary, fallback = upstreams
    mesh, ledger = mesh_of(primary, fallback, PRIMARY, FALLBACK, retry={"attempts": 1})
    primary.script(Answer(503, body={}))
    send(mesh, CancelScope()).close()  # the fallback's connection is kept from now on
    primary.drop_connections()
    primary.script(Answer(503, body={}))
    fallback.script(Cut())
    delivery = send(mesh, CancelScope())

    assert delivery.reply.status == 200
    assert [event for event in ledger.entries[1].events if event.startswith("sending")] == [
        "sending primary",
        "sending fallback",
    ]
    delivery.close()
    mesh.close()

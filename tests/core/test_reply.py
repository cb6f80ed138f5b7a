"""A streamed reply as a generator: what it yields, and what it settles when it is ended early."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.routing.timeouts import Timeouts
from llm_mesh_middleware._core.values.messages import Failure
from llm_mesh_middleware._core.values.steps import Read
from llm_mesh_middleware.exceptions import (
    ClientDisconnected,
    ServerShutdown,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.core.scripted import SSE, Play, head, play
from tests.core.tables import ACME, provider, request, table
from tests.rows import rows

TIMES = Timeouts(first_byte=10, idle=5, request=60)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAMING = '{"stream": true, "stream_options": {"include_usage": true}}'
GONE = ClientDisconnected("gone")


def begun(*pieces: bytes) -> Play:
    """A stream whose first pieces have come."""
    routes = table(provider(), timeouts=TIMES)
    return play(routes, request(body=STREAMING), head(200, SSE), *pieces, host=ACME)


def test_reads_and_bytes_take_turns() -> None:
    performed = begun(EVENT)
    assert performed.read(EVENT, STOP, DONE, b"") == [EVENT, EVENT, STOP, DONE]
    assert performed.notes.ends == [(200, None)]


def test_a_stream_makes_one_step_and_yields_it_again() -> None:
    performed = begun(EVENT)
    taken = len(performed.taken)
    performed.read(EVENT, EVENT, EVENT)
    reads = performed.taken[taken:]
    assert [type(step) for step in reads] == [Read] * 4
    assert all(step is reads[0] for step in reads)


@pytest.mark.parametrize("last", [[DONE, b""], [DONE[:5], DONE[5:], b""]])
def test_after_its_own_end_only_the_connection_is_read_and_not_for_long(last: list[bytes]) -> None:
    performed = begun(EVENT)
    performed.read(STOP, *last)
    read = performed.taken[-1]
    assert isinstance(read, Read)
    assert read.idle_s is None
    assert read.deadline.at - performed.clock.now <= 1.0


def test_a_connection_that_stays_silent_after_the_end_is_no_failure() -> None:
    performed = begun(EVENT)
    late = Failure(UpstreamTimeout("late", phase="idle"))
    assert performed.read(STOP + DONE, late) == [EVENT, STOP + DONE]
    assert performed.notes.ends == [(200, None)]


def test_what_still_comes_after_the_end_is_passed_on() -> None:
    performed = begun(EVENT)
    assert performed.read(STOP + DONE, b":", b" bye\n", b"\n", b"")[1:] == [
        STOP + DONE,
        b": bye\n",
        b"\n",
    ]


def test_bytes_behind_the_end_are_dropped_with_their_connection() -> None:
    performed = begun(EVENT)
    broken = Failure(UpstreamProtocolError("bytes behind the last chunk"))
    assert performed.read(STOP + DONE, broken) == [EVENT, STOP + DONE]
    assert performed.notes.ends == [(200, None)]


@rows("reason", [GONE, ServerShutdown()])
@rows("reads", [0, 1])
def test_the_reason_of_an_early_end_is_what_is_recorded(reason: Exception, reads: int) -> None:
    performed = begun(EVENT)
    performed.read(*[EVENT] * reads)
    performed.throw(reason)
    assert performed.notes.ends == [(200, reason)]


def test_a_client_of_a_server_that_shuts_down_gets_a_last_event() -> None:
    performed = begun(EVENT)
    performed.read()
    last = performed.throw(ServerShutdown())
    assert last.startswith(b"data: ")
    assert b"stream_interrupted" in last


def test_a_body_that_is_dropped_counts_as_left_by_its_client() -> None:
    performed = begun(EVENT)
    performed.read()
    assert performed.reply is not None
    performed.reply.body.close()  # type: ignore[union-attr]
    ((status, error),) = performed.notes.ends
    assert status == 200
    assert isinstance(error, ClientDisconnected)

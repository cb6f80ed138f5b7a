"""What an attempt says of its provider."""

from __future__ import annotations

from llm_mesh_middleware._core.flow.attempts.outcome import Outcome
from llm_mesh_middleware._core.flow.stream import _result
from llm_mesh_middleware._core.provider.outliers import Result
from llm_mesh_middleware.exceptions import (
    ClientDisconnected,
    RequestNotSent,
    ResponseTooLarge,
    ServerShutdown,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from tests.rows import rows


@rows(
    ("status", "result"),
    [
        (200, "success"),
        (400, "success"),
        (404, "success"),
        (422, "success"),
        (429, "rate_limited"),
        (500, "failure"),
        (503, "failure"),
        (529, "failure"),
    ],
)
def test_a_refused_request_is_no_failure_of_the_provider(status: int, result: Result) -> None:
    assert Outcome(status, []).result == result


@rows(
    ("error", "result"),
    [
        (UpstreamConnectError("refused"), "unreachable"),
        (UpstreamTimeout("late", phase="connect"), "unreachable"),
        (UpstreamConnectError("reset", has_connected=True), "failure"),
        (UpstreamProtocolError("no HTTP"), "failure"),
        (UpstreamTimeout("late", phase="first_byte"), "failure"),
        (UpstreamTimeout("late", phase="request"), "failure"),
        (RequestNotSent("a field cannot be sent"), "cancelled"),
        (ResponseTooLarge("more than 64 MiB"), "cancelled"),
    ],
)
def test_an_error_says_whether_the_provider_was_reached_and_whose_it_is(
    error: UpstreamError, result: Result
) -> None:
    outcome = Outcome(error.status, [], error=error)
    assert outcome.result == result
    assert outcome.cause == error.message


TORN = UpstreamProtocolError("broke off")


@rows(
    ("error", "held_s", "result"),
    [
        (None, 0.0, "success"),
        (None, 60.0, "success"),
        (TORN, 0.0, "failure"),
        (TORN, 60.0, "cancelled"),
        (UpstreamTimeout("late", phase="idle"), 0.0, "failure"),
        (UpstreamTimeout("late", phase="request"), 0.0, "cancelled"),
        (ClientDisconnected("gone"), 0.0, "cancelled"),
        (ServerShutdown(), 0.0, "cancelled"),
    ],
)
def test_the_end_of_a_stream_is_the_providers_failure_only_if_nobody_else_caused_it(
    error: Exception | None, held_s: float, result: Result
) -> None:
    assert _result(error, held_s) == result

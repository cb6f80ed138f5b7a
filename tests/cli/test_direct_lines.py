"""Lines of calls that `serve` writes without a record say what a record would have said."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, UpstreamRequest
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._telemetry.ending import Ending
from llm_mesh_middleware._telemetry.progress import CallProgress
from llm_mesh_middleware._telemetry.records.access_log import FIELDS, LineFormatter, access_logger
from llm_mesh_middleware._telemetry.records.access_record import access_record
from llm_mesh_middleware._telemetry.records.direct import direct_handler
from llm_mesh_middleware.cli.serving.log import BufferedHandler
from llm_mesh_middleware.cli.serving.short_line import ShortFormatter
from llm_mesh_middleware.exceptions import ClientDisconnected, NoRouteMatched, UpstreamTimeout

CLIENT = ClientRequest("POST", "/v1/chat/completions", Headers(()), host="llm", model="fast")
SENT = UpstreamRequest(
    endpoint=Endpoint("api.openai.com", "https", "api.openai.com", 443, "api.openai.com"),
    method="POST",
    target="/v1/chat/completions",
    headers=(),
    body=b"",
    connect_timeout_s=1.0,
    provider="openai",
    model="gpt-4.1",
)
FORGED = ClientRequest("PO\nST", "/v1/\x1b[2J", Headers(()), host="llm", model="fa\nst")
LATE = UpstreamTimeout("too late", phase="request")


def progress(request: ClientRequest = CLIENT, attempts: int = 1) -> CallProgress:
    made = CallProgress(request, 10.0, first=SENT if attempts else None)
    made.attempts = attempts
    return made


def ending(
    status: int | None, error: BaseException | None = None, usage: Usage | None = None
) -> Ending:
    return Ending.of(10.8119, status, error, usage)


def without_time(line: str) -> str:
    return re.sub(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", "", line)


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize(
    ("call", "end"),
    [
        (progress(), ending(200, usage=Usage(12, 48))),
        (progress(attempts=3), ending(504, LATE)),
        (progress(attempts=0), ending(404, NoRouteMatched("none"))),
        (progress(), ending(429)),
        (progress(), ending(None, ClientDisconnected("gone"))),
        (progress(FORGED, attempts=0), ending(400)),
        (progress(), ending(200, usage=Usage(0, 0))),
    ],
)
def test_a_line_without_a_record_is_the_line_of_its_record(
    call: CallProgress, end: Ending, is_terminal: bool
) -> None:
    formatter = ShortFormatter(is_terminal=is_terminal)
    record = logging.LogRecord("llm_mesh.access", logging.INFO, "", 0, "llm call", (), None)
    setattr(record, FIELDS, access_record(call, end, INVALID_SPAN_CONTEXT))

    line = formatter.call_line(call, end.at, end.status, end.usage, end.error_type)

    assert without_time(line) == without_time(formatter.format(record))
    assert "\n" not in line


@contextmanager
def lone_handler() -> Iterator[BufferedHandler]:
    """The only handler of the access log, as `serve` has it; pytest's own come after fixtures."""
    made = BufferedHandler(io.StringIO())
    made.setFormatter(ShortFormatter())
    kept = access_logger.handlers, access_logger.propagate, access_logger.level
    access_logger.handlers, access_logger.propagate = [made], False
    access_logger.setLevel(logging.INFO)
    try:
        yield made
    finally:
        access_logger.handlers, access_logger.propagate = kept[:2]
        access_logger.setLevel(kept[2])


def test_a_lone_handler_of_short_lines_writes_them_itself() -> None:
    with lone_handler() as handler:
        assert direct_handler() is handler


def test_a_second_handler_needs_records() -> None:
    with lone_handler():
        access_logger.addHandler(logging.NullHandler())
        assert direct_handler() is None


def test_a_longer_form_needs_records() -> None:
    with lone_handler() as handler:
        handler.setFormatter(LineFormatter())
        assert direct_handler() is None


def test_a_filter_needs_records() -> None:
    with lone_handler() as handler:
        handler.addFilter(lambda record: False)
        assert direct_handler() is None


def test_a_log_without_lines_of_calls_needs_none() -> None:
    with lone_handler():
        access_logger.setLevel(logging.WARNING)
        assert direct_handler() is None


def test_a_handler_that_is_passed_over_needs_records() -> None:
    with lone_handler() as handler:
        handler.setLevel(logging.WARNING)
        assert direct_handler() is None

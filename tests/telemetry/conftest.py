"""A recorder and two plain providers for each test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.canaries import watched
from tests.telemetry.recording import Recorder

_SWITCHES = (
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    "OTEL_SEMCONV_STABILITY_OPT_IN",
)


@pytest.fixture(autouse=True)
def no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _SWITCHES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def access_level() -> Iterator[None]:
    """The access log as it is before a test, after it."""
    logger = logging.getLogger("llm_mesh.access")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What the access log gets, which is switched on."""
    logger, handler = logging.getLogger("llm_mesh.access"), BufferingHandler(10_000)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.buffer
    logger.removeHandler(handler)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    watched("a span", "".join(span.to_json(indent=None) for span in recorder.spans))
    watched("a metric", repr(recorder.metrics()))
    records = recorder.log_exporter.get_finished_logs()
    watched("an event", repr([data.log_record for data in records]))


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream


@pytest.fixture
def second() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False) as upstream:
        yield upstream

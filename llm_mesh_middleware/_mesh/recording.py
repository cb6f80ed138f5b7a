"""The destinations of a mesh's telemetry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Recording"]


class Recording(msgspec.Struct, frozen=True):
    """The application's OpenTelemetry providers (None: the global ones), and its `redact`."""

    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    logger_provider: LoggerProvider | None = None
    redact: Callable[[str], str] | None = None

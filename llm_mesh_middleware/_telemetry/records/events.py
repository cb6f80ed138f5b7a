"""Events: one per call, and one per failure, without content and without headers."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from opentelemetry._logs import Logger, LogRecord, NoOpLogger, SeverityNumber
from opentelemetry.context import Context

from ...exceptions import AnswerableError
from .. import semconv
from ..ending import Ending
from .access_log import FIELDS, Value, access_logger, log_call
from .mirror_record import mirror_logger

__all__ = ["Events", "is_enabled"]

_RECHECK_S = 0.05


class Events:
    """The access record, on the standard library's logger and as an event of OpenTelemetry.

    `was_exported`: events were exported at the last look, which must be taken again at
    `recheck_at`, on the performance counter.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self.recheck_at = -math.inf
        self.was_exported = False

    def look(self, now: float) -> None:
        """Look whether events are exported, which takes as long as writing a short line."""
        self.recheck_at = now + _RECHECK_S
        self.was_exported = is_enabled(self._logger)

    def emit_call(self, fields: Mapping[str, Value], context: Context) -> None:
        """Emit the access record of a call."""
        self._emit(semconv.EVENT_REQUEST, fields, context)
        if access_logger.isEnabledFor(logging.INFO):
            log_call(fields)

    @property
    def is_exported(self) -> bool:
        """Whether events are exported."""
        return is_enabled(self._logger)

    def emit_mirror(self, fields: Mapping[str, Value]) -> None:
        """Emit the comparison of a copy with the client's call."""
        self._emit(semconv.EVENT_MIRROR, fields)
        if mirror_logger.isEnabledFor(logging.INFO):
            mirror_logger.info("mirrored call", extra={FIELDS: fields})

    def _emit(self, name: str, fields: Mapping[str, Value], context: Context | None = None) -> None:
        if is_enabled(self._logger):
            known = {field: value for field, value in fields.items() if value is not None}
            self._logger.emit(
                LogRecord(
                    event_name=name,
                    severity_number=SeverityNumber.INFO,
                    attributes=known,
                    context=context,
                )
            )

    def emit_exception(self, ending: Ending, context: Context) -> None:
        """Emit a failure with the mesh's own message: the provider's could repeat the prompt."""
        error = ending.error
        if not isinstance(error, AnswerableError) or not is_enabled(self._logger):
            return
        self._logger.emit(
            LogRecord(
                event_name=semconv.EVENT_EXCEPTION,
                severity_number=SeverityNumber.WARN,
                attributes={
                    semconv.EXCEPTION_TYPE: type(error).__qualname__,
                    semconv.EXCEPTION_MESSAGE: error.message,
                },
                context=context,
            )
        )


def is_enabled(logger: Logger) -> bool:
    """Return whether events of `logger` are exported.

    Before 1.45 the API could not tell: there they are, unless no SDK has been set up.
    """
    enabled = getattr(logger, "enabled", None)
    if enabled is None:
        # The proxy of the API calls one that does nothing until there is an SDK.
        return not isinstance(getattr(logger, "_logger", logger), NoOpLogger)
    return bool(enabled(severity_number=SeverityNumber.INFO))

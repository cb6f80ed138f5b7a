"""Access lines that a handler writes directly, without a `LogRecord`.

Making a record, finding its handlers and reading its fields again takes longer than formatting the
line. Where one such handler is the only one of the access log, as in `llm-mesh serve`, it gets the
call itself. Its line has nothing of the response but its usage.
"""

from __future__ import annotations

import logging
from typing import Protocol

from ..._core.values.messages import ClientRequest, UpstreamRequest
from ..._core.values.usage import Usage
from .access_log import access_logger

__all__ = ["CallHandler", "LineCall", "direct_handler"]


class LineCall(Protocol):
    """What a line has of a call, but for its ending."""

    request: ClientRequest
    last: UpstreamRequest | None
    attempts: int
    started_at: float


class CallHandler(logging.Handler):
    """A handler that writes the lines of calls directly, if `writes_calls`."""

    writes_calls = False

    def write_call(
        self,
        call: LineCall,
        at: float,
        status: int | None,
        usage: Usage | None,
        error_type: str | None,
    ) -> None:
        """Write the line of a call that has ended; see `Ending`."""
        raise NotImplementedError


def direct_handler() -> CallHandler | None:
    """Return the only handler of the access log if it writes the lines of calls directly."""
    if access_logger.filters or not access_logger.isEnabledFor(logging.INFO):
        return None
    logger: logging.Logger | None = access_logger
    found: logging.Handler | None = None
    while logger is not None:
        for handler in logger.handlers:
            if found is not None:
                return None
            found = handler
        logger = logger.parent if logger.propagate else None
    if not isinstance(found, CallHandler) or not found.writes_calls or found.filters:
        return None
    return found if found.level <= logging.INFO else None

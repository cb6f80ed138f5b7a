"""Lines of calls that a handler writes by itself, without a record of the standard library.

To make a record, find its handlers and read its fields again takes more than all that a line says.
Where the access log goes to one such handler alone, as in `llm-mesh serve`, it is handed what is
known of the call.
"""

from __future__ import annotations

import logging

from ..ending import Ending
from ..progress import CallProgress
from .access_log import access_logger

__all__ = ["CallHandler", "direct_handler"]


class CallHandler(logging.Handler):
    """A handler that may write lines of calls by itself, if `writes_calls`."""

    writes_calls = False

    def write_call(self, progress: CallProgress, ending: Ending) -> None:
        """Write the line of a call."""
        raise NotImplementedError


def direct_handler() -> CallHandler | None:
    """Return the only handler of the access log if it writes lines of calls by itself."""
    logger: logging.Logger | None = access_logger
    if access_logger.filters or access_logger.disabled:
        return None
    found: logging.Handler | None = None
    while logger is not None:
        if handlers := logger.handlers:
            if found is not None or len(handlers) > 1:
                return None
            found = handlers[0]
        logger = logger.parent if logger.propagate else None
    if not isinstance(found, CallHandler) or not found.writes_calls or found.filters:
        return None
    return found if found.level <= logging.INFO else None

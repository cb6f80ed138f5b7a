"""The log lines of ejections, returns and faults of model servers, one for each."""

from __future__ import annotations

import logging

from .._core.provider.outliers import HealthChange

__all__ = ["log_change", "log_server"]

logger = logging.getLogger("llm_mesh_middleware")


def log_change(host: str, change: HealthChange) -> None:
    """Log that the provider `host` was ejected or is back."""
    if change.is_ejected:
        logger.warning("%s is ejected for %.3g s: %s", host, change.seconds, change.reason)
    else:
        logger.info("%s is back after %.3g s: %s", host, change.seconds, change.reason)


def log_server(server: str, what: str, is_well: bool) -> None:
    """Log that a page of a model server cannot be used, or can be used again."""
    logger.log(logging.INFO if is_well else logging.WARNING, "%s: %s", server, what)

"""The settings for watching the servers of a provider."""

from __future__ import annotations

import msgspec

__all__ = ["ServerWatch"]


class ServerWatch(msgspec.Struct, frozen=True):
    """The pages of each endpoint to read, None for pages that are not read.

    `metrics_port` is the port of the metrics if it is not the endpoint's own.
    """

    metrics_path: str | None = None
    metrics_port: int | None = None
    check_path: str | None = None
    check_interval_s: float = 5.0

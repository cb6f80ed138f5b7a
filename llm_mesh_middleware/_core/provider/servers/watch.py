"""The settings for watching the servers of a provider."""

from __future__ import annotations

import msgspec

__all__ = ["ServerWatch"]


class ServerWatch(msgspec.Struct, frozen=True):
    """Which pages of each endpoint are read; None for those that are not.

    `metrics_port` is where the metrics are if not at the endpoint's own port.
    """

    metrics_path: str | None = None
    metrics_port: int | None = None
    check_path: str | None = None
    check_interval_s: float = 5.0

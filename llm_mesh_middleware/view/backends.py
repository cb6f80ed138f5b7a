"""The values of the view for servers of a provider, and for mirrors."""

from __future__ import annotations

import msgspec

__all__ = ["MirrorReport", "MirrorTraffic", "ServerReport", "ServerState"]


class ServerReport(msgspec.Struct, frozen=True):
    """One worker's report of a server, of a provider that has several or that it scrapes.

    `waiting` and the fields below it come from the server's metrics page; None without a fresh one.
    """

    state: str
    in_flight: int
    waiting: int | None = None
    running: int | None = None
    cache_used: float | None = None
    adapters: tuple[str, ...] = ()


class ServerState(msgspec.Struct, frozen=True):
    """A server over all workers: its worst state, and the values of its metrics page.

    `ejected_in` counts the workers that have ejected it.
    """

    state: str
    ejected_in: int
    in_flight: int
    waiting: int | None = None
    running: int | None = None
    cache_used: float | None = None
    adapters: tuple[str, ...] = ()


class MirrorReport(msgspec.Struct, frozen=True):
    """The copies of a rule's requests for a provider in five minutes, in one worker.

    `counts` are by result. `key` is (host, rule, provider).
    """

    key: tuple[str, str, str]
    counts: dict[str, int]


class MirrorTraffic(msgspec.Struct, frozen=True):
    """The copies of a rule's requests for a provider in five minutes.

    `counts` has results (`success`, `error`, `timeout`, `cancelled`, `skipped_...`) and comparisons
    (`same_finish`, `other_finish`, `same_content`, `other_content`).
    """

    provider: str
    counts: dict[str, int]

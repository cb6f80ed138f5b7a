"""The values of the view for servers of a provider, and for mirrors."""

from __future__ import annotations

import msgspec

__all__ = ["MirrorReport", "MirrorTraffic", "ServerReport", "ServerState"]


class ServerReport(msgspec.Struct, frozen=True):
    """How one worker finds a server of a provider that has several, or one that is watched.

    `waiting` and the rest are what its page of metrics says, None without a page that is new.
    """

    state: str
    in_flight: int
    waiting: int | None = None
    running: int | None = None
    cache_used: float | None = None
    adapters: tuple[str, ...] = ()


class ServerState(msgspec.Struct, frozen=True):
    """A server over all workers: the worst state, and what a worker has read of it.

    `ejected_in` counts the workers that give it no requests.
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

    Of `counts` those of results are `success`, `error`, `timeout`, `cancelled` and `skipped_...`.
    `same_finish`, `other_finish`, `same_content` and `other_content` count comparisons.
    """

    provider: str
    counts: dict[str, int]

"""Balancing inside a pool of model servers.

a conversation    goes to the server that the hash of its prompt prefix selects, since that server
                  has the prefix in its KV cache; if it is crowded, to the second by the hash
anything else     the better of two servers, so that processes with the same old metrics do not all
                  pick the same server

score    requests waiting, calls started since the metrics were read, an eighth of those running, up
         to 4 for a cache that is fuller than 80 %, and 2 if an adapter must be loaded
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from ..values.messages import ClientRequest
from .balancer import Balancer, Candidate
from .prompt_prefix import prefix_digest
from .weighted import Weighted

__all__ = ["Pooled", "adapter_of", "server_score"]

# A server with a longer queue is crowded (the extension's own saturation detector has this limit).
_QUEUE_LIMIT = 5
_CACHE_LIMIT = 0.8
_CACHE_PRICE = 4.0
_ADAPTER_PRICE = 2.0
_RUNNING_PRICE = 0.125


class Pooled(msgspec.Struct, frozen=True):
    """Picks a backend like `otherwise`; if it is a pool, then one of its servers."""

    otherwise: Balancer = Weighted()

    @property
    def reads_quota(self) -> bool:
        """Whether the balancer of backends uses reported rate limits."""
        return self.otherwise.reads_quota

    def pick(
        self,
        candidates: Sequence[Candidate],
        call: ClientRequest,
        random: Callable[[], float],
        now: float,
    ) -> Candidate:
        """Return a server of a pool, or the candidate of another backend."""
        chosen = self.otherwise.pick(candidates, call, random, now)
        if not chosen.backend.is_pool:
            return chosen
        servers = [each for each in candidates if each.backend is chosen.backend]
        if len(servers) == 1:
            return chosen
        key = prefix_digest(call)
        if key is not None:
            for server in _by_hash(servers, key)[:2]:
                if not _is_crowded(server, servers, now):
                    return server
        return _better_of_two(servers, call, random, now)

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return False: there is no key."""
        return False


def server_score(server: Candidate, adapter: str | None, now: float) -> float | None:
    """Return the score of a server, lower is better; None if its load is not known.

    Args:
        server: the server.
        adapter: the adapter that the call needs, if it needs one.
        now: the time.
    """
    state = server.health.server
    load = state.load(now)
    if load is None:
        return None
    overfull = max(0.0, load.cache_used - _CACHE_LIMIT) / (1.0 - _CACHE_LIMIT)
    score = load.waiting + state.started_since + _RUNNING_PRICE * load.running
    score += _CACHE_PRICE * overfull
    if adapter is not None and load.adapters is not None and adapter not in load.adapters:
        score += _ADAPTER_PRICE
    return score


def adapter_of(servers: Sequence[Candidate], call: ClientRequest, now: float) -> str | None:
    """Return the requested model if it is an adapter that some server has loaded."""
    for server in servers:
        load = server.health.server.load(now)
        if load is not None and load.adapters and call.model in load.adapters:
            return call.model
    return None


def _by_hash(servers: Sequence[Candidate], key: bytes) -> list[Candidate]:
    """Sort by rendezvous hashing: if a server is removed, only its conversations move."""

    def rank(server: Candidate) -> bytes:
        place = f"{server.endpoint.address}:{server.endpoint.port}"
        return blake2b(place.encode(), key=key, digest_size=8).digest()

    return sorted(servers, key=rank, reverse=True)


def _is_crowded(server: Candidate, servers: Sequence[Candidate], now: float) -> bool:
    """Return whether another server is faster, although it has no cached prefix."""
    if not server.health.has_free_slot():
        return True
    load = server.health.server.load(now)
    if load is not None and load.waiting > _QUEUE_LIMIT:
        return True
    mean = sum(each.health.in_flight for each in servers) / len(servers)
    return server.health.in_flight > 2 * mean + _QUEUE_LIMIT


def _better_of_two(
    servers: Sequence[Candidate], call: ClientRequest, random: Callable[[], float], now: float
) -> Candidate:
    first = int(random() * len(servers))
    second = int(random() * (len(servers) - 1))
    drawn = servers[first], servers[second + (second >= first)]
    adapter = adapter_of(servers, call, now)
    scores = [server_score(each, adapter, now) for each in drawn]
    if None in scores:  # a server without metrics cannot be scored
        scores = [float(each.health.in_flight) for each in drawn]
    one, other = scores
    return drawn[0] if one is not None and other is not None and one <= other else drawn[1]

"""Sticky balancing: requests with the same key go to the same backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from ..values.messages import ClientRequest
from ..values.subject import read_subject
from .backends import Backend
from .balancer import Balancer, Candidate
from .weighted import Weighted

__all__ = ["Sticky"]


class Sticky(msgspec.Struct, frozen=True):
    """Picks the same backend and endpoint for the same key while it is a candidate.

    The key is the request's subject `name` of the kind `kind` (header, attribute). When a weight
    changes, only the necessary keys move (weighted rendezvous hashing). A request without a key is
    balanced by `otherwise`.
    """

    kind: str
    name: str
    otherwise: Balancer = Weighted()

    @property
    def reads_quota(self) -> bool:
        """Whether the balancer of requests without a key uses reported rate limits."""
        return self.otherwise.reads_quota

    def key(self, call: ClientRequest) -> str | None:
        """Return the key of a request, or None."""
        return read_subject(self.kind, self.name, call)

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return whether the request has no key."""
        return self.key(call) is None

    def pick(
        self,
        candidates: Sequence[Candidate],
        call: ClientRequest,
        random: Callable[[], float],
        now: float,
    ) -> Candidate:
        """Return the candidate of the request's key."""
        if len(candidates) == 1:
            return candidates[0]
        key = self.key(call)
        if key is None:
            return self.otherwise.pick(candidates, call, random, now)
        return max(candidates, key=lambda each: (_score(each.backend, key), _rank(each, key)))


def _score(backend: Backend, key: str) -> float:
    """Return a logarithmic score, which is the highest with a chance proportional to the weight."""
    identity = backend.upstream.identity
    # Backends of one upstream need different hashes, or the heaviest of them would get every key.
    occurrence = f"#{backend.occurrence}" if backend.occurrence else ""
    # 52 bits and a half: with more, the largest would round to 1, whose logarithm is 0.
    drawn = _hash(f"{identity.namespace}/{identity.name}{occurrence}\0{key}") >> 12
    return -max(backend.weight, 1) / math.log((drawn + 0.5) / 2.0**52)


def _rank(candidate: Candidate, key: str) -> int:
    """Rank the endpoints of one backend, which have one score."""
    endpoint = candidate.endpoint
    return _hash(f"{endpoint.address}:{endpoint.port}\0{key}")


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")

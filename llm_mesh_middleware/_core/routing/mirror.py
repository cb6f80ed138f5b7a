"""A mirror: a provider that gets a copy of some requests of a rule."""

from __future__ import annotations

import msgspec

from ..provider.upstream import Upstream

__all__ = ["Mirror"]


class Mirror(msgspec.Struct, frozen=True):
    """A provider that gets copies of `percent` of a rule's requests.

    At most `max_concurrency` copies are in flight in a process, each for at most `timeout_s`. A
    request with more than `max_body_bytes` is not copied. `compares_content`: digests of both
    contents are compared.
    """

    upstream: Upstream
    percent: float = 100.0
    max_concurrency: int = 4
    max_body_bytes: int = 2**20
    timeout_s: float = 60.0
    compares_content: bool = False

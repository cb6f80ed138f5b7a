"""The `outlierDetection` of a provider."""

from __future__ import annotations

import msgspec

__all__ = ["OutlierDetection"]


class OutlierDetection(msgspec.Struct, frozen=True):
    """`LLMProvider.spec.outlierDetection`: when a provider is ejected, and for how long.

    `consecutive_failures` in a row, none more than `interval_s` apart, eject the provider for
    `base_ejection_s`, doubled with each ejection in close succession, up to `max_ejection_s`. A
    rate-limited provider is skipped until its Retry-After has passed. Then `half_open_requests`
    calls may probe it; if all succeed, the ejection ends.
    """

    consecutive_failures: int = 5
    interval_s: float = 30.0
    base_ejection_s: float = 5.0
    max_ejection_s: float = 300.0
    half_open_requests: int = 1

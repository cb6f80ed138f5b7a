"""Asserting what the cache had to do with a reply."""

from __future__ import annotations

from typing import Literal

from ._routed import RoutedResponse

__all__ = ["assert_cached"]


def assert_cached(
    response: RoutedResponse, result: Literal["hit", "miss", "stale", "bypass"] = "hit"
) -> None:
    """Assert where `response` came from.

    Args:
        response: the answer as any client has it.
        result: `hit` from the cache, `miss` from a provider, `stale` from the cache because the
            providers failed, `bypass` from a provider because the request is not for the cache.

    Raises:
        AssertionError: it came from elsewhere.
    """
    told = response.headers.get("x-llm-mesh-cache")
    if told is None:
        raise AssertionError(
            "no cache was asked: no LLMPolicy of the rule has one, or it is an error"
        )
    if told != result:
        raise AssertionError(f"expected a cache {result}; the answer was a {told}")

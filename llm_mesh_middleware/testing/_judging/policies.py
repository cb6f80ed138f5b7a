"""Assertions about caches and guards."""

from __future__ import annotations

from typing import Literal

from .routed import RoutedResponse

__all__ = ["assert_blocked", "assert_cached"]


def assert_cached(
    response: RoutedResponse, result: Literal["hit", "miss", "stale", "bypass"] = "hit"
) -> None:
    """Assert whether `response` came from the cache.

    Args:
        response: the response, of any client library.
        result: `hit` from the cache (of an equal or a similar request), `miss` from a provider,
            `stale` from the cache because the providers failed, `bypass` from a provider because
            the request is not cached.

    Raises:
        AssertionError: the result is another one.
    """
    shown = response.headers.get("x-llm-mesh-cache")
    if shown is None:
        raise AssertionError(
            "no cache was asked: no LLMPolicy of the rule has one, or it is an error"
        )
    if shown.partition(";")[0] != result:
        raise AssertionError(f"expected a cache {result}; the response was a {shown}")


def assert_blocked(response: RoutedResponse, *, guard: str | None = None) -> None:
    """Assert that a guard denied the request of `response`, or the response itself.

    The header `x-llm-mesh-guards` shows it; in a stream that has begun, only the last event does.

    Args:
        response: the response, of any client library.
        guard: the name of the guard; None for any.

    Raises:
        AssertionError: no guard or another one did; the message has the effects of guards.
    """
    shown = response.headers.get("x-llm-mesh-guards")
    effects = [] if shown is None else shown.split(", ")
    denied = [effect.partition(" ")[2] for effect in effects if effect.startswith("denied ")]
    if not denied:
        raise AssertionError(f"no guard blocked this: x-llm-mesh-guards is {shown!r}")
    if guard is not None and guard not in denied:
        raise AssertionError(f"expected guard {guard!r}; blocked by {', '.join(denied)}")

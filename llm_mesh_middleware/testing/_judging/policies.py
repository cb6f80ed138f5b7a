"""Asserting what policies had to do with a reply."""

from __future__ import annotations

from typing import Literal

from .routed import RoutedResponse

__all__ = ["assert_blocked", "assert_cached"]


def assert_cached(
    response: RoutedResponse, result: Literal["hit", "miss", "stale", "bypass"] = "hit"
) -> None:
    """Assert where `response` came from.

    Args:
        response: the answer as any client has it.
        result: `hit` from the cache (of an equal request or one that is alike), `miss` from a
            provider, `stale` from the cache because the providers failed, `bypass` from a provider
            because the request is not for the cache.

    Raises:
        AssertionError: it came from elsewhere.
    """
    shown = response.headers.get("x-llm-mesh-cache")
    if shown is None:
        raise AssertionError(
            "no cache was asked: no LLMPolicy of the rule has one, or it is an error"
        )
    if shown.partition(";")[0] != result:
        raise AssertionError(f"expected a cache {result}; the answer was a {shown}")


def assert_blocked(response: RoutedResponse, *, guard: str | None = None) -> None:
    """Assert that a guard refused the request that `response` answers, or its response.

    The answer itself tells, by its field `x-llm-mesh-guards`; a stream that has begun can only tell
    by its last event.

    Args:
        response: the answer as any client has it.
        guard: the name of the guard; None for any.

    Raises:
        AssertionError: none did, or another one; the message shows what guards did.
    """
    shown = response.headers.get("x-llm-mesh-guards")
    effects = [] if shown is None else shown.split(", ")
    denied = [effect.partition(" ")[2] for effect in effects if effect.startswith("denied ")]
    if not denied:
        raise AssertionError(f"no guard blocked this: x-llm-mesh-guards is {shown!r}")
    if guard is not None and guard not in denied:
        raise AssertionError(f"expected guard {guard!r}; blocked by {', '.join(denied)}")

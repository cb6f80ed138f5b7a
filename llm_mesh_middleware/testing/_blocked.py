"""Asserting what guards did with a request."""

from __future__ import annotations

from ._routed import RoutedResponse

__all__ = ["assert_blocked"]


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
    told = response.headers.get("x-llm-mesh-guards")
    effects = [] if told is None else told.split(", ")
    denied = [effect.partition(" ")[2] for effect in effects if effect.startswith("denied ")]
    if not denied:
        raise AssertionError(f"no guard blocked this: x-llm-mesh-guards is {told!r}")
    if guard is not None and guard not in denied:
        raise AssertionError(f"expected guard {guard!r}; blocked by {', '.join(denied)}")

"""Assertions about routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["RoutedResponse", "assert_routed"]


class RoutedResponse(Protocol):
    """A response of any client library: httpx, requests, Starlette, Django, Flask."""

    @property
    def headers(self) -> Mapping[str, Any]:
        """The header fields, looked up in any case."""


def assert_routed(
    response: RoutedResponse,
    *,
    provider: str | None = None,
    route: str | None = None,
    rule: str | None = None,
    model: str | None = None,
    attempts: int | None = None,
) -> None:
    """Assert how the request of `response` was routed; an omitted argument may have any value.

    The `x-llm-mesh-*` headers of the response show it (`LLM_MESH_RESPONSE_HEADERS`).

    Args:
        response: the response, of any client library.
        provider: the name of the `LLMProvider` that served it.
        route: the name of the `LLMRoute`.
        rule: the name of the selected rule.
        model: the model in the provider's request.
        attempts: the number of attempts.

    Raises:
        AssertionError: it was routed differently; the message shows how.
    """
    wanted = {
        "provider": provider,
        "route": route,
        "rule": rule,
        "model": model,
        "attempts": None if attempts is None else str(attempts),
    }
    went = {name: response.headers.get(f"x-llm-mesh-{name}") for name in wanted}
    if went["attempts"] is None:
        raise AssertionError(
            "the response has no x-llm-mesh-attempts: it is not the mesh's, or is an error before"
            " any attempt, or LLM_MESH_RESPONSE_HEADERS is off"
        )
    wrong = {name: value for name, value in wanted.items() if value not in (None, went[name])}
    if wrong:
        meant = ", ".join(f"{name} {value!r}" for name, value in wrong.items())
        taken = ", ".join(f"{name} {value!r}" for name, value in went.items())
        raise AssertionError(f"expected {meant}; the request went to {taken}")

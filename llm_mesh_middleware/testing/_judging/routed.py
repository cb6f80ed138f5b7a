"""Asserting which way a request went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["RoutedResponse", "assert_routed"]


class RoutedResponse(Protocol):
    """A response as a client of any kind has it: httpx, requests, Starlette, Django, Flask."""

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
    """Assert which way the request went that `response` answers; what is not given may be anything.

    The answer itself tells, by its `x-llm-mesh-*` fields (`LLM_MESH_RESPONSE_HEADERS`).

    Args:
        response: the answer as any client has it.
        provider: the name of the `LLMProvider` that answered.
        route: the name of the `LLMRoute`.
        rule: the name of the rule that won.
        model: the model that the provider was asked for.
        attempts: how many calls were made.

    Raises:
        AssertionError: it went another way; the message shows which.
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
            "the answer does not tell its way: it is not the mesh's, or an error from before any"
            " call, or LLM_MESH_RESPONSE_HEADERS is off"
        )
    wrong = {name: value for name, value in wanted.items() if value not in (None, went[name])}
    if wrong:
        meant = ", ".join(f"{name} {value!r}" for name, value in wrong.items())
        taken = ", ".join(f"{name} {value!r}" for name, value in went.items())
        raise AssertionError(f"expected {meant}; the request went to {taken}")

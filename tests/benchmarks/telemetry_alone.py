"""What telemetry does for one call, without the call: its hooks as they were called once, again.

In a loop of nothing else the processor's caches are as warm as they are for the operations of
`telemetry_scale`; in a real call they hold what the rest of the call needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.messages import ClientRequest

__all__ = ["Tape"]

_Told = tuple[str, tuple[Any, ...], dict[str, Any]]
_HOOKS = ("understood", "selected", "sending", "answered", "replying", "summarised", "ended")


class Tape:
    """An observer that keeps what it is told of one call."""

    def __init__(self) -> None:
        self._request: ClientRequest | None = None
        self._told: list[_Told] = []

    def __call__(self, request: ClientRequest) -> Observation:
        """Begin anew."""
        self._request = request
        self._told.clear()
        return _Taped(self._told)

    def player(self, mesh: Mesh) -> Callable[[], None]:
        """What tells the observers of `mesh` the same once more."""
        observer, request, told = mesh._serving._observer, self._request, tuple(self._told)
        if request is None:
            raise LookupError("nothing was taped")

        def play() -> None:
            observation = observer(request)
            for name, args, kwargs in told:
                getattr(observation, name)(*args, **kwargs)

        return play


class _Taped(Observation):
    def __init__(self, told: list[_Told]) -> None:
        def keeper(name: str) -> Callable[..., None]:
            return lambda *args, **kwargs: told.append((name, args, kwargs))

        for name in _HOOKS:
            setattr(self, name, keeper(name))

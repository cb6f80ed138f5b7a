"""The application's own functions as ports: `authorize` and `attributes` of an adapter."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Self

__all__ = ["Callback", "Decision"]

logger = logging.getLogger("llm_mesh_middleware")


class Callback:
    """A plain function, a coroutine function, or any callable that may return an awaitable.

    Only an asynchronous adapter can await. In a synchronous one an awaitable is an error, because
    as a result it would count as true.
    """

    __slots__ = ("_function", "_name")

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        """Wrap a function; `name` is used in errors."""
        self._function = function
        self._name = name

    def ask(self, request: Any, until: float | None) -> Any:
        """Return the function's result.

        Raises:
            TypeError: the function returned an awaitable.
        """
        answer = self._function(request)
        if not inspect.isawaitable(answer):
            return answer
        if inspect.iscoroutine(answer):
            answer.close()  # otherwise Python warns that it was never awaited
        raise TypeError(
            f"{self._name} returned an awaitable, which a synchronous adapter cannot wait for; "
            "give it a plain function"
        )

    async def aask(self, request: Any, until: float | None) -> Any:
        """Return the function's result, awaited if necessary."""
        answer = self._function(request)
        while inspect.isawaitable(answer):
            answer = await answer
        return answer

    @classmethod
    def of(cls, function: Callable[[Any], Any] | None, name: str) -> Self | None:
        """Return the port for `function`, None for None."""
        return None if function is None else cls(function, name)


class Decision(Callback):
    """A function that decides: only True admits.

    Any other true value, such as a generator, is probably a mistake and must not grant access.
    """

    __slots__ = ("_has_warned",)

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        super().__init__(function, name)
        self._has_warned = False

    def ask(self, request: Any, until: float | None) -> bool:
        """Return whether the function's answer is True."""
        return self._is_yes(super().ask(request, until))

    async def aask(self, request: Any, until: float | None) -> bool:
        """Return whether the function's answer is True."""
        return self._is_yes(await super().aask(request, until))

    def _is_yes(self, answer: object) -> bool:
        if answer and answer is not True and not self._has_warned:
            self._has_warned = True
            kind = type(answer).__name__
            logger.warning("%s returned %s instead of True, so access is refused", self._name, kind)
        return answer is True

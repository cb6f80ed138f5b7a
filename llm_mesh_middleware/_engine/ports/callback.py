"""The application's own functions as ports: `authorize` and `attributes` of an adapter."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Self

__all__ = ["Callback", "Decision", "Facts"]

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
        """Return the port for `function`, None for None.

        Raises:
            TypeError: it cannot be called.
        """
        if function is None:
            return None
        if not callable(function):
            kind = type(function).__name__
            raise TypeError(f"{name} must be a function that gets the request, not {kind}")
        return cls(function, name)


class Facts(Callback):
    """A function that states facts by name, each of them text.

    None is no fact. A number would match no text, so a rule for it would silently never apply.
    """

    __slots__ = ()

    def ask(self, request: Any, until: float | None) -> Mapping[str, str]:
        """Return the function's facts.

        Raises:
            TypeError: it returned something else.
        """
        return self._facts(super().ask(request, until))

    async def aask(self, request: Any, until: float | None) -> Mapping[str, str]:
        """Return the function's facts.

        Raises:
            TypeError: it returned something else.
        """
        return self._facts(await super().aask(request, until))

    def _facts(self, answer: object) -> Mapping[str, str]:
        if answer is None:
            return {}
        if not isinstance(answer, Mapping):
            kind = type(answer).__name__
            raise TypeError(f"{self._name} returned {kind}: return a mapping of names to text")
        for name, value in answer.items():
            if not isinstance(name, str):
                raise TypeError(f"{self._name} returned the name {name!r}, not str: names are text")
            if value is not None and not isinstance(value, str):
                kind = type(value).__name__
                message = f"{self._name} returned {kind} for {name!r}, not str: give it as text"
                raise TypeError(message)
        return {name: value for name, value in answer.items() if value is not None}


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

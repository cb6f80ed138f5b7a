"""Observers cannot hurt: what they raise is logged, once, and the request goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from .._core.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.observer import Observation, Observer
from .._core.routing import Selection
from .._core.summary import AnswerSummary
from .._core.usage import Usage

__all__ = ["GuardedObserver"]

Given = ParamSpec("Given")
Brought = TypeVar("Brought")

logger = logging.getLogger("llm_mesh_middleware")


class GuardedObserver:
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._has_complained = False

    def __call__(self, request: ClientRequest) -> Observation:
        """Begin an observation with each."""
        heard = []
        for observer in self._observers:
            begun = self.guard(observer, request)
            if begun is not None and type(begun) is not Observation:
                heard.append(begun)
        return _GuardedObservation(self, heard) if heard else _UNHEARD

    def guard(
        self, hook: Callable[Given, Brought], *args: Given.args, **kwargs: Given.kwargs
    ) -> Brought | None:
        """What `hook` returns, or None if it raises."""
        try:
            return hook(*args, **kwargs)
        except Exception:  # whatever it is, it is not the request's business
            if not self._has_complained:
                self._has_complained = True
                logger.exception("an observer has failed; further failures are not logged")
            return None


_UNHEARD = Observation()


class _GuardedObservation(Observation):
    def __init__(self, observer: GuardedObserver, observations: Sequence[Observation]) -> None:
        self._guard = observer.guard
        self._observations = observations

    def selected(self, selection: Selection) -> None:
        for each in self._observations:
            self._guard(each.selected, selection)

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        for each in self._observations:
            changed = self._guard(each.sending, request)
            request = request if changed is None else changed
        return request

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        for each in self._observations:
            self._guard(each.answered, attempt, answer)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        for each in self._observations:
            self._guard(each.replying, attempt=attempt, is_stream=is_stream)

    def summarised(self, summary: AnswerSummary) -> None:
        for each in self._observations:
            self._guard(each.summarised, summary)

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        for each in self._observations:
            self._guard(each.ended, status, error, usage)

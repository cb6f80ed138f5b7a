"""Guards observers: the first exception of one is logged, and the request continues."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .._core.flow.mirrors.outcome import MirrorOutcome
from .._core.flow.observer import Observation, Observer
from .._core.pricing.charge import Charge
from .._core.values.decision import Decision
from .._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from .._core.values.selection import Selection
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage

__all__ = ["Guarded", "GuardedObserver"]

logger = logging.getLogger("llm_mesh_middleware")


class GuardedObserver:
    """Combines several observers into one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._sole = self._observers[0] if len(self._observers) == 1 else None
        self._has_logged = False

    def add(self, observer: Observer) -> None:
        """Notify `observer` too, of exchanges that begin from now on."""
        self._observers = (*self._observers, observer)
        self._sole = observer if len(self._observers) == 1 else None

    def observe(self, request: ClientRequest) -> Observation:
        """Begin an observation with each observer.

        A method, because calling an object takes two and a half times as long.
        """
        if self._sole is not None:
            return self._begin(self._sole, request)
        begun = [self._begin(observer, request) for observer in self._observers]
        observations = [each for each in begun if each.__class__ is not Observation]
        if len(observations) == 1:
            return observations[0]
        return _Several(observations) if observations else _NO_OBSERVATION

    def _begin(self, observer: Observer, request: ClientRequest) -> Observation:
        try:
            observation = observer(request)
        except Exception:  # an observer must not break the request
            self.log_failure()
            return _NO_OBSERVATION
        if observation.__class__ is Observation:  # nobody listens
            return observation
        if observation.handles_failures:
            observation.log_failure = self.log_failure
            return observation
        return Guarded(self.log_failure, observation)

    def log_failure(self, failure: Exception | None = None) -> None:
        """Log a failure, by default the exception that is being handled, if it is the first."""
        if not self._has_logged:
            self._has_logged = True
            text = "an observer has failed; further failures are not logged"
            logger.error(text, exc_info=failure or True)


_NO_OBSERVATION = Observation()


class Guarded(Observation):
    """Guards one observation. Each hook has its own `try`: a helper would cost a call."""

    def __init__(self, log_failure: Callable[[], None], observation: Observation) -> None:
        self._log_failure = log_failure
        self._observation = observation
        self.wants_chunks, self.detail = observation.wants_chunks, observation.detail

    def understood(self, request: ClientRequest) -> None:
        try:
            self._observation.understood(request)
        except Exception:  # here and below: an observer must not break the request
            self._log_failure()

    def selected(self, selection: Selection) -> None:
        try:
            self._observation.selected(selection)
        except Exception:
            self._log_failure()

    def decided(self, decision: Decision) -> None:
        try:
            self._observation.decided(decision)
        except Exception:
            self._log_failure()

    def expired(self, decision: Decision, count: int) -> None:
        try:
            self._observation.expired(decision, count)
        except Exception:
            self._log_failure()

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        try:
            self._observation.settled(decision, reserved, used)
        except Exception:
            self._log_failure()

    def sending(self, request: UpstreamRequest) -> UpstreamRequest | None:
        try:
            return self._observation.sending(request)
        except Exception:
            self._log_failure()
            return None

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        try:
            self._observation.answered(attempt, answer)
        except Exception:
            self._log_failure()

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        try:
            self._observation.replying(attempt=attempt, is_stream=is_stream)
        except Exception:
            self._log_failure()

    def chunks(self, count: int) -> None:
        try:
            self._observation.chunks(count)
        except Exception:
            self._log_failure()

    def charged(self, charge: Charge) -> None:
        try:
            self._observation.charged(charge)
        except Exception:
            self._log_failure()

    def mirroring(self, request: ClientRequest) -> Observation:
        try:
            return Guarded(self._log_failure, self._observation.mirroring(request))
        except Exception:
            self._log_failure()
            return _NO_OBSERVATION

    def mirrored(self, outcome: MirrorOutcome) -> None:
        try:
            self._observation.mirrored(outcome)
        except Exception:
            self._log_failure()

    def summarised(self, summary: AnswerSummary) -> None:
        try:
            self._observation.summarised(summary)
        except Exception:
            self._log_failure()

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        try:
            self._observation.ended(status, error, usage)
        except Exception:
            self._log_failure()


class _Several(Observation):
    """Calls each hook of several observations, which are guarded."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._observations = observations
        self.wants_chunks = any(each.wants_chunks for each in observations)
        has_facts = any(each.detail == "facts" for each in observations)
        self.detail = "facts" if has_facts else "usage"

    def understood(self, request: ClientRequest) -> None:
        for each in self._observations:
            each.understood(request)

    def selected(self, selection: Selection) -> None:
        for each in self._observations:
            each.selected(selection)

    def decided(self, decision: Decision) -> None:
        for each in self._observations:
            each.decided(decision)

    def expired(self, decision: Decision, count: int) -> None:
        for each in self._observations:
            each.expired(decision, count)

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        for each in self._observations:
            each.settled(decision, reserved, used)

    def sending(self, request: UpstreamRequest) -> UpstreamRequest:
        for each in self._observations:
            request = each.sending(request) or request
        return request

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        for each in self._observations:
            each.answered(attempt, answer)

    def replying(self, *, attempt: int, is_stream: bool) -> None:
        for each in self._observations:
            each.replying(attempt=attempt, is_stream=is_stream)

    def chunks(self, count: int) -> None:
        for each in self._observations:
            if each.wants_chunks:
                each.chunks(count)

    def charged(self, charge: Charge) -> None:
        for each in self._observations:
            each.charged(charge)

    def mirroring(self, request: ClientRequest) -> Observation:
        return _Several([each.mirroring(request) for each in self._observations])

    def mirrored(self, outcome: MirrorOutcome) -> None:
        for each in self._observations:
            each.mirrored(outcome)

    def summarised(self, summary: AnswerSummary) -> None:
        for each in self._observations:
            each.summarised(summary)

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        for each in self._observations:
            each.ended(status, error, usage)

"""The order in which one request tries the backends of its rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from ...exceptions import (
    NoBackendAvailable,
    UnsupportedOperation,
    UpstreamConnectError,
    UpstreamTimeout,
)
from ..balance.backends import Backend, Backends
from ..balance.balancer import Balancer, Candidate
from ..dialect import ServedOperation
from ..provider.health import ProviderHealth
from ..provider.registry import HealthRegistry
from ..routing.retry_policy import RetryPolicy, Verdict
from ..values.messages import ClientRequest
from .attempt import Outcome
from .retrying import RetryBudget

__all__ = ["AttemptPlan", "Choice"]


class Choice(msgspec.Struct, frozen=True):
    """The backend of the next attempt, and the pause before it.

    One that `is_on_trial` must not be called before there is news of it. One that `is_forced` is
    called although it is ejected, because no other can serve.
    """

    candidate: Candidate
    pause_s: float = 0.0
    is_on_trial: bool = False
    is_forced: bool = False

    @property
    def backend(self) -> Backend:
        """The backend to call."""
        return self.candidate.backend

    @property
    def health(self) -> ProviderHealth:
        """How that backend is doing."""
        return self.candidate.health


class AttemptPlan:
    """One request's way through those backends of a rule that can serve its operation.

    Another backend of the same priority comes first, then the next priority; but a provider that
    asks for a short pause gets it, once, before a lower tier is bothered. The same backend comes
    again only when there is no other. `made` counts the attempts; `preferred_host` is the provider
    host that the rule prefers, once `first` was called.
    """

    def __init__(
        self,
        backends: Backends,
        retry: RetryPolicy,
        *,
        operation: ServedOperation,
        health: HealthRegistry,
        budget: RetryBudget,
        balancer: Balancer,
        call: ClientRequest,
        random: Callable[[], float],
    ) -> None:
        """Raises UnsupportedOperation if no backend can serve the operation."""
        self._tiers = backends.serving(operation)
        if not self._tiers:
            raise UnsupportedOperation(
                f"{_hosts(backends)} cannot serve {operation.suffix}: "
                "the mesh knows only the path for chat"
            )
        self._retry = retry
        self._health = health
        self._budget = budget
        self._random = random
        self._balancer = balancer
        self._call = call
        self._tried: list[Candidate] = []
        self._waited_for: list[Backend] = []
        self._has_hedged = False
        self.made = 0
        self.preferred_host = self._tiers[0][0].upstream.host
        budget.earn()

    def first(self, now: float) -> Choice:
        """Return the backend to begin with: the preferred one, if it is in service and free.

        It is preferred whatever its health, so that a fallback can be told from a choice. Drawing
        again among the others, if it cannot serve, gives each the share that its weight says. If
        every one is ejected, the choice is made as if none were.

        Raises:
            NoBackendAvailable: no backend would answer.
        """
        if candidates := self._candidates(self._tiers[0]):
            preferred = self._pick(candidates)
            self.preferred_host = preferred.backend.upstream.host
            if preferred.health.is_available(now) and preferred.health.has_free_slot():
                return Choice(preferred)
        choice = self.untried(now) or self._forced(now)
        if choice is None:
            raise self.unavailable(now)
        return choice

    def untried(
        self, now: float, tiers: Iterable[tuple[Backend, ...]] | None = None
    ) -> Choice | None:
        """A backend in service that was not tried yet, of the best priority that has one."""
        for tier in self._tiers if tiers is None else tiers:
            available = [
                each
                for each in self._candidates(tier)
                if each not in self._tried and each.health.is_available(now)
            ]
            if len(available) > 1:
                free = [each for each in available if each.health.has_free_slot()]
                return Choice(self._pick(free or available))
            if available:
                return Choice(available[0])
        return None

    def instead(self, choice: Choice, now: float) -> Choice | None:
        """Return what follows a backend that had no slot, or was ejected while one was awaited."""
        if choice.is_forced or choice.health.is_available(now):
            self.skips(choice.candidate)
        return self.untried(now) or (self._forced(now) if self.made == 0 else None)

    def tries(self, candidate: Candidate) -> None:
        """An attempt at `candidate` is made."""
        self.made += 1
        self.skips(candidate)

    def skips(self, candidate: Candidate) -> None:
        """Nothing came of `candidate`; it is not chosen again while there is another."""
        if candidate not in self._tried:
            self._tried.append(candidate)

    def after(self, choice: Choice, outcome: Outcome, now: float) -> Choice | None:
        """What follows an attempt that is not the last word; None if it is."""
        if outcome.is_refused_addition:  # the next attempt leaves it out
            return replace(choice, pause_s=0.0)
        if choice.is_forced:
            return None
        verdict = self._verdict(outcome)
        if verdict is Verdict.FINAL or self.made > self._retry.attempts:
            return None
        following = self._following(
            choice, outcome.retry_after_s, now, may_repeat=verdict is Verdict.ANYWHERE
        )
        return None if following is None else self.afforded(following, now)

    def afforded(self, choice: Choice, now: float) -> Choice | None:
        """`choice` as far as the budget allows; a backend known to be good costs nothing.

        Others may be finding out just now how the backend does. Then it is waited for what they
        find: a fallback that nobody has used for hours must not fail those who come all at once.
        """
        if choice.health.is_known_good(now) or self._budget.spend(now):
            return replace(choice, is_on_trial=False)
        return replace(choice, is_on_trial=True) if choice.health.is_on_trial(now) else None

    def hedge(self, now: float) -> Choice | None:
        """A second backend for a call that is slow, if there is one that needs no waiting.

        Once for a request; and it counts as an attempt.
        """
        if self._has_hedged or self.made > self._retry.attempts:
            return None
        choice = self.untried(now)
        if choice is None or choice.backend.policy is not None:
            return None  # a policy may have to wait
        if not choice.health.has_free_slot() or not self._budget.spend(now):
            return None
        self._has_hedged = True
        return choice

    def unavailable(self, now: float) -> NoBackendAvailable:
        """The answer when no backend can be called."""
        candidates = [each for tier in self._tiers for each in self._candidates(tier)]
        waits = [each.health.opens_in_s(now) for each in candidates if each.health.is_closed(now)]
        hosts = _hosts(backend for tier in self._tiers for backend in tier)
        return NoBackendAvailable(
            f"no backend is in service ({hosts}); try again later",
            headers={"retry-after": str(max(1, math.ceil(min(waits, default=1.0))))},
        )

    def _forced(self, now: float) -> Choice | None:
        """Return a backend of the best priority that would answer, although it is ejected."""
        for tier in self._tiers:
            candidates = [
                each
                for each in self._candidates(tier)
                if each not in self._tried and not each.health.is_closed(now)
            ]
            if candidates:
                free = [each for each in candidates if each.health.has_free_slot()]
                return Choice(self._pick(free or candidates), is_forced=True)
        return None

    def _verdict(self, outcome: Outcome) -> Verdict:
        """Return what may follow; an error in disguise is tried elsewhere whatever it means."""
        verdict = self._retried(outcome)
        if verdict is Verdict.FINAL and outcome.is_disguised:
            verdict = Verdict.ELSEWHERE
        if Verdict.FINAL in (verdict, outcome.may_follow):
            return Verdict.FINAL
        return verdict if outcome.may_follow is Verdict.ANYWHERE else outcome.may_follow

    def _retried(self, outcome: Outcome) -> Verdict:
        """A provider that was waited for in vain is not waited for a second time."""
        error = outcome.error
        phase = error.phase if isinstance(error, UpstreamTimeout) else None
        if isinstance(error, UpstreamConnectError) or phase == "connect":
            return Verdict.ANYWHERE
        verdict = self._retry.verdict(outcome.status, outcome.reasons)
        return Verdict.ELSEWHERE if phase and verdict is Verdict.ANYWHERE else verdict

    def _following(
        self, choice: Choice, wished_s: float | None, now: float, *, may_repeat: bool
    ) -> Choice | None:
        tiers = self._tiers
        own = next(i for i, tier in enumerate(tiers) if choice.backend in tier)
        sibling = self.untried(now, tiers[: own + 1])
        if sibling is not None:
            return sibling
        lower = self.untried(now, tiers[own + 1 :])
        if not may_repeat:
            return lower
        if wished_s is None:
            return lower or self._again(now)
        if lower is not None and choice.backend in self._waited_for:
            return lower
        return self._as_wished(choice, wished_s, now) or lower

    def _as_wished(self, choice: Choice, wished_s: float, now: float) -> Choice | None:
        """The same backend, when it wants to be asked again and will be in service then."""
        if wished_s > self._retry.max_retry_after_s:
            return None
        # A little more than asked for, so that all who were sent away do not come at once.
        pause_s = max(
            wished_s * (1 + 0.1 * self._random()), self._retry.pause_s(self.made, self._random)
        )
        if not choice.health.is_available(now + pause_s):
            return None
        self._waited_for.append(choice.backend)
        return Choice(choice.candidate, pause_s)

    def _again(self, now: float) -> Choice | None:
        """A backend that was tried before, after a pause."""
        pause_s = self._retry.pause_s(self.made, self._random)
        for tier in self._tiers:
            available = [
                each for each in self._candidates(tier) if each.health.is_available(now + pause_s)
            ]
            if available:
                return Choice(self._pick(available), pause_s)
        return None

    def _candidates(self, tier: Iterable[Backend]) -> list[Candidate]:
        return [
            Candidate(backend, endpoint, self._health.of(backend.upstream, endpoint))
            for backend in tier
            for endpoint in backend.upstream.endpoints.now()
        ]

    def _pick(self, candidates: Sequence[Candidate]) -> Candidate:
        return self._balancer.pick(candidates, self._call, self._random)


def _hosts(backends: Iterable[Backend]) -> str:
    return ", ".join(dict.fromkeys(backend.upstream.host for backend in backends))

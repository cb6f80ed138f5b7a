"""The order in which one request tries the backends of its rule.

    first             drawn by the balancer; if it is not available, another one, by priority
    after a failure   another backend of the same priority
                      the same one, if it asks for a short pause, once
                      the next priority
                      any backend again, after a pause
    all ejected       one that may still respond, although it is ejected

Each attempt after the first is paid from the retry budget of the route.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from ....exceptions import (
    NoBackendAvailable,
    UnsupportedOperation,
    UpstreamConnectError,
    UpstreamTimeout,
)
from ...balance.backends import Backend, Backends, Tiers
from ...balance.balancer import Balancer, Candidate
from ...dialect import ServedOperation
from ...provider.health import ProviderHealth
from ...provider.registry import HealthRegistry
from ...routing.retry_policy import RetryPolicy, Verdict
from ...values.endpoint import Endpoint
from ...values.messages import ClientRequest
from .outcome import Outcome
from .retrying import RetryBudget

__all__ = ["AttemptPlan", "Choice"]

_NOTHING: Mapping[int, tuple[Endpoint, ...]] = MappingProxyType({})


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The backend of the next attempt, and the pause before it.

    `is_on_trial`: wait for the result of another call before calling it. `is_forced`: it is called
    although it is ejected, because no other backend can serve.
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
        """The health of that backend."""
        return self.candidate.health


class AttemptPlan:
    """The order in which one request tries the backends that can serve its operation.

    A fallback goes to another backend of the same priority first, then to the next priority; but if
    a provider asks for a short pause, it is retried after that, once, before a lower tier is tried.
    Otherwise the same backend is retried only if there is no other. `made` counts the attempts;
    `preferred_host` is the provider host that the rule prefers, once `first` was called; `served`
    is the candidate whose response the client gets.
    """

    def __init__(
        self,
        backends: Backends,
        retry: RetryPolicy,
        operation: ServedOperation,
        health: HealthRegistry,
        budget: RetryBudget,
        balancer: Balancer,
        call: ClientRequest,
        random: Callable[[], float],
    ) -> None:
        """Plan the attempts of `call`.

        Args:
            backends: the backends of its rule.
            retry: the retry policy of the rule.
            operation: the operation that the backends must serve.
            health: the health of all providers.
            budget: the retry budget of the route.
            balancer: the balancer of the rule.
            call: the request.
            random: returns numbers in [0, 1).

        Raises:
            UnsupportedOperation: no backend can serve the operation.
        """
        tiers = backends.serving(operation)
        if not tiers:
            raise UnsupportedOperation(
                f"{_hosts(backends)} cannot serve {operation.suffix}: "
                "the mesh knows only the path for chat"
            )
        budget.earn()
        self._tiers: Tiers = tiers
        self._retry = retry
        self._health = health
        self._budget = budget
        self._random = random
        self._balancer = balancer
        self._call = call
        self.preferred_host = tiers[0][0].upstream.identity.host
        self.made = 0
        self.served: Candidate | None = None
        self._affine_to: str | None = None
        self._tried: tuple[Candidate, ...] = ()
        self._waited_for: tuple[Backend, ...] = ()
        self._has_hedged = False
        self._offered: Mapping[int, tuple[Endpoint, ...]] = _NOTHING

    @property
    def first_tier(self) -> tuple[Backend, ...]:
        """The backends that are tried first."""
        return self._tiers[0]

    def offer(self, backend: Backend, endpoints: tuple[Endpoint, ...]) -> None:
        """Try these endpoints of a backend, in this order, and no others."""
        self._offered = {**self._offered, id(backend): endpoints}

    def prefer(self, document: str | None) -> None:
        """Begin with the provider of this document: the request continues a response of it."""
        self._affine_to = document

    def skip_first_tier(self) -> bool:
        """Skip the first priority; return False if it is the only one."""
        if len(self._tiers) == 1:
            return False
        self._tiers = self._tiers[1:]
        return True

    def first(self, now: float) -> Choice:
        """Return the first backend: the preferred one if it is available and free.

        It is drawn regardless of health, so that a fallback can be recognised. If it is not
        available, the draw is repeated among the others, by weight. If all are ejected, the draw
        ignores ejections.

        Raises:
            NoBackendAvailable: no backend can be called.
        """
        candidates = self._candidates(self._tiers[0])
        preferred = None if self._affine_to is None else self._affine()
        if preferred is None and candidates:
            preferred = candidates[0] if len(candidates) == 1 else self._pick(candidates, now)
        if preferred is not None:
            self.preferred_host = preferred.backend.upstream.identity.host
            if preferred.health.is_free(now):
                return Choice(preferred)
        choice = self.untried(now) or self._forced(now)
        if choice is None:
            raise self.unavailable(now)
        return choice

    def _affine(self) -> Candidate | None:
        """Return the backend that stores the response to continue, if the rule has it."""
        if self._affine_to is None:
            return None
        for tier in self._tiers:
            for candidate in self._candidates(tier):
                if candidate.backend.upstream.identity.document == self._affine_to:
                    return candidate
        return None

    def untried(
        self, now: float, tiers: Iterable[tuple[Backend, ...]] | None = None
    ) -> Choice | None:
        """Return an available backend that was not tried yet, of the best priority that has one."""
        for tier in self._tiers if tiers is None else tiers:
            available = [
                each
                for each in self._candidates(tier)
                if each not in self._tried and each.health.is_available(now)
            ]
            if len(available) > 1:
                free = [each for each in available if each.health.has_free_slot()]
                return Choice(self._pick(free or available, now))
            if available:
                return Choice(available[0])
        return None

    def instead(self, choice: Choice, now: float) -> Choice | None:
        """Return the choice after a backend that had no slot, or was ejected meanwhile."""
        if choice.is_forced or choice.health.is_available(now):
            self.skips(choice.candidate)
        return self.untried(now) or (self._forced(now) if self.made == 0 else None)

    def tries(self, candidate: Candidate) -> None:
        """Record an attempt at `candidate`."""
        self.made += 1
        if candidate not in self._tried:
            self._tried += (candidate,)

    def skips(self, candidate: Candidate) -> None:
        """Skip `candidate`; it is not chosen again while there is another."""
        if candidate not in self._tried:
            self._tried += (candidate,)

    def after(self, choice: Choice, outcome: Outcome, now: float) -> Choice | None:
        """Return the choice after an attempt, or None if the attempt is final."""
        if outcome.is_rejected_addition:  # the next attempt leaves it out
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
        """Return `choice` if the budget allows; a backend known to be healthy costs nothing.

        If other calls are just probing the backend, the choice waits for their result: when many
        requests fall back at once to a backend unused for hours, they must not all fail.
        """
        if choice.health.is_known_good(now) or self._budget.spend(now):
            return replace(choice, is_on_trial=False)
        return replace(choice, is_on_trial=True) if choice.health.is_on_trial(now) else None

    def hedge(self, now: float) -> Choice | None:
        """Return a second backend for a slow call, if one is free.

        At most once per request; it counts as an attempt.
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
        """Return the error for when no backend can be called."""
        candidates = [each for tier in self._tiers for each in self._candidates(tier)]
        waits = [each.health.opens_in_s(now) for each in candidates if each.health.is_closed(now)]
        hosts = _hosts(backend for tier in self._tiers for backend in tier)
        return NoBackendAvailable(
            f"no backend is in service ({hosts}); try again later",
            headers={"retry-after": str(max(1, math.ceil(min(waits, default=1.0))))},
        )

    def _forced(self, now: float) -> Choice | None:
        """Return an ejected backend of the best priority that may still respond."""
        for tier in self._tiers:
            candidates = [
                each
                for each in self._candidates(tier)
                if each not in self._tried and not each.health.is_closed(now)
            ]
            if candidates:
                free = [each for each in candidates if each.health.has_free_slot()]
                return Choice(self._pick(free or candidates, now), is_forced=True)
        return None

    def _verdict(self, outcome: Outcome) -> Verdict:
        """Return what may follow; an error in disguise always falls back."""
        verdict = self._retried(outcome)
        if verdict is Verdict.FINAL and outcome.is_disguised:
            verdict = Verdict.ELSEWHERE
        if Verdict.FINAL in (verdict, outcome.may_follow):
            return Verdict.FINAL
        return verdict if outcome.may_follow is Verdict.ANYWHERE else outcome.may_follow

    def _retried(self, outcome: Outcome) -> Verdict:
        """Return the policy's verdict; a provider that timed out is not retried."""
        error = outcome.error
        phase = error.phase if isinstance(error, UpstreamTimeout) else None
        if isinstance(error, UpstreamConnectError) or phase == "connect":
            return Verdict.ANYWHERE
        status = outcome.provider_status or outcome.status
        verdict = self._retry.verdict(status, outcome.reasons)
        return Verdict.ELSEWHERE if phase and verdict is Verdict.ANYWHERE else verdict

    def _following(
        self, choice: Choice, retry_after_s: float | None, now: float, *, may_repeat: bool
    ) -> Choice | None:
        tiers = self._tiers
        own = next(i for i, tier in enumerate(tiers) if choice.backend in tier)
        sibling = self.untried(now, tiers[: own + 1])
        if sibling is not None:
            return sibling
        lower = self.untried(now, tiers[own + 1 :])
        if not may_repeat:
            return lower
        if retry_after_s is None:
            return lower or self._again(now)
        if lower is not None and choice.backend in self._waited_for:
            return lower
        return self._after_retry_after(choice, retry_after_s, now) or lower

    def _after_retry_after(self, choice: Choice, retry_after_s: float, now: float) -> Choice | None:
        """Return the same backend after its Retry-After, if it will be available then."""
        if retry_after_s > self._retry.max_retry_after_s:
            return None
        # A little longer than requested, so that waiting calls do not all return at once.
        pause_s = max(
            retry_after_s * (1 + 0.1 * self._random()), self._retry.pause_s(self.made, self._random)
        )
        if not choice.health.is_available(now + pause_s):
            return None
        self._waited_for += (choice.backend,)
        return Choice(choice.candidate, pause_s)

    def _again(self, now: float) -> Choice | None:
        """Return a backend that was tried before, after a pause."""
        pause_s = self._retry.pause_s(self.made, self._random)
        for tier in self._tiers:
            available = [
                each for each in self._candidates(tier) if each.health.is_available(now + pause_s)
            ]
            if available:
                return Choice(self._pick(available, now), pause_s)
        return None

    def _candidates(self, tier: Iterable[Backend]) -> list[Candidate]:
        offered, found = self._offered, []
        for backend in tier:  # not a comprehension: on CPython 3.11 that is another function
            upstream = backend.upstream
            for endpoint in (offered and offered.get(id(backend))) or upstream.endpoints.now():
                health = self._health.of(upstream, endpoint)
                found.append(Candidate(backend, endpoint, health))
        return found

    def _pick(self, candidates: Sequence[Candidate], now: float) -> Candidate:
        picked = self._balancer.pick(candidates, self._call, self._random, now)
        if not self._offered or id(picked.backend) not in self._offered:
            return picked
        return next(each for each in candidates if each.backend is picked.backend)


def _hosts(backends: Iterable[Backend]) -> str:
    return ", ".join(dict.fromkeys(backend.upstream.host for backend in backends))

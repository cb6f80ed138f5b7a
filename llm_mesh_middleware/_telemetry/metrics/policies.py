"""Metrics of policies: their decisions, and the tokens that limits reserve and settle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..._core.values.decision import Decision
from ..._process.forks import ForkLock
from .. import semconv
from .limited_names import EntityNames
from .tallies import Labels, Tally

__all__ = ["PolicyMetrics", "notable"]


class _Watched(Protocol):
    @property
    def is_store_away(self) -> Callable[[], bool] | None:
        """Return the check of the store that a mesh shares with others; None without one."""


class PolicyMetrics:
    """Counters of decisions, of the tokens of limits, of cached replies and of findings."""

    def __init__(self, meter: Meter) -> None:
        self._decisions = Tally(meter, semconv.MESH_DECISIONS, "{decision}")
        self._tokens = Tally(meter, semconv.MESH_LIMIT_TOKENS, semconv.TOKENS)
        self._expired = Tally(meter, semconv.MESH_LIMIT_EXPIRED, "{reservation}")
        self._cached = Tally(meter, semconv.MESH_CACHE_REQUESTS, "{request}")
        self._saved = Tally(meter, semconv.MESH_CACHE_SAVED, semconv.TOKENS)
        self._embedding = Tally(meter, semconv.MESH_CACHE_EMBEDDING, semconv.TOKENS)
        self._findings = Tally(meter, semconv.MESH_FINDINGS, "{finding}")
        self._entities = EntityNames()
        self._watched: WeakSet[_Watched] = WeakSet()
        self._lock = ForkLock()
        meter.create_observable_gauge(
            semconv.MESH_STORE_STATE, [self._observe], "{store}", "1 while the store is unavailable"
        )

    def watch(self, mesh: _Watched) -> None:
        """Include the store of `mesh`, for as long as something else holds it."""
        with self._lock.of_process:
            self._watched.add(mesh)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        item = _labels(decision)
        self._decisions.add(
            1,
            (
                *item,
                (semconv.POLICY_KIND, decision.kind),
                (semconv.POLICY_DECISION, decision.decision),
            ),
        )
        if decision.kind == "cache" and decision.decision != "waits":
            self._cached.add(1, ((semconv.CACHE_RESULT, decision.decision),))
            if decision.of:
                self._saved.add(decision.of, item)
        elif decision.kind == "semantic" and decision.of:
            self._embedding.add(decision.of, item)
        elif decision.kind == "guard" and decision.entity and decision.decision != "unchecked":
            entity = self._entities.label(decision.policy, decision.item, decision.entity)
            found = (semconv.GUARD_ENTITY, entity)
            action = (semconv.GUARD_ACTION, decision.decision)
            self._findings.add(1, (*item, found, action))

    def expired(self, decision: Decision, count: int) -> None:
        """Count reservations that were never released."""
        self._expired.add(count, (*_labels(decision), (semconv.POLICY_KIND, decision.kind)))

    def settled(self, decision: Decision, reserved: int, used: int) -> None:
        """Count the tokens of a limit."""
        item = _labels(decision)
        self._tokens.add(reserved, (*item, (semconv.LIMIT_STATE, "reserved")))
        self._tokens.add(used, (*item, (semconv.LIMIT_STATE, "settled")))

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock.of_process:
            checks = [each.is_store_away for each in self._watched]
        states = [is_away() for is_away in checks if is_away is not None]
        return [Observation(int(any(states)))] if states else []


def notable(decisions: Iterable[Decision]) -> list[str]:
    """Return the decisions other than `allowed`, in order."""
    texts = (
        f"{each.policy}/{each.item} {each.decision}"
        for each in decisions
        if each.decision != "allowed"
    )
    return list(dict.fromkeys(texts))


def _labels(decision: Decision) -> Labels:
    return (semconv.POLICY_NAME, decision.policy), (semconv.POLICY_ITEM, decision.item)

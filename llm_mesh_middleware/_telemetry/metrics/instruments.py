"""The instruments of the mesh, and how one exchange is recorded on them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from ..._core.values.usage import Usage
from .. import semconv
from ..owned.registry import Bank, Recorder
from .ejections import Ejections
from .in_flight import InFlight
from .labels import CallLabels
from .ledger import Account, Ledger
from .policies import PolicyMetrics
from .rows import CallRow
from .tallies import Tallies, Tally

__all__ = ["UNTRACED", "MeshMetrics", "metric_generations"]

logger = logging.getLogger("llm_mesh_middleware")

UNTRACED = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""The context of a measurement without an exemplar, where one would cost more than it is worth."""

# The parts of the counts; input and output, which come first, have histograms, too.
_PARTS: Sequence[Callable[[Usage], int]] = tuple(map(attrgetter, [*semconv.USAGE_COUNTERS][2:]))

# Batches that the SDK records take milliseconds, in which nothing else runs.
_MAX_OWN, _MAX_BATCH = 256, 8
_ALONE_S = 0.01
"""A call that ends so much later than the one before is recorded at once."""

_Column = tuple[Recorder, Sequence[float], dict[str, str | int], Sequence[CallRow]]
"""A histogram, values, the attributes that all of them have, and the calls they come from."""


class _Tokens(NamedTuple):
    """The tokens of those calls whose providers have reported any: each, and the total by kind."""

    calls: Sequence[CallRow]
    input: Sequence[int]
    output: Sequence[int]
    totals: Sequence[int]

    @classmethod
    def of(cls, calls: Sequence[CallRow]) -> _Tokens:
        used = [call.usage for call in calls if call.usage is not None]
        counted = (
            calls if len(used) == len(calls) else [each for each in calls if each.usage is not None]
        )
        inputs = [usage.input_tokens for usage in used]
        outputs = [usage.output_tokens for usage in used]
        parts = [sum(map(part, used)) for part in _PARTS]
        return cls(counted, inputs, outputs, (sum(inputs), sum(outputs), *parts))


class _Names(NamedTuple):
    """The names of a call's histograms in one generation of the GenAI conventions."""

    duration: str
    first_chunk: str
    per_chunk: str


_GENERATIONS = {
    "known": _Names(
        semconv.OPERATION_DURATION, semconv.OPERATION_FIRST_CHUNK, semconv.OPERATION_PER_CHUNK
    ),
    "latest": _Names(
        semconv.INFERENCE_DURATION, semconv.INFERENCE_FIRST_CHUNK, semconv.INFERENCE_PER_CHUNK
    ),
}
_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


def metric_generations(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the generations of metric names that the environment selects, `known` or `latest`."""
    chosen = {item.strip() for item in environ.get(_OPT_IN, "").split(",")}
    if "gen_ai_latest_experimental/dup" in chosen:
        return frozenset(("known", "latest"))
    return frozenset(("latest",) if "gen_ai_latest_experimental" in chosen else ("known",))


class _Histograms:
    """Makes histograms: the SDK's, with advisory bucket boundaries, or those of a bank."""

    def __init__(self, meter: Meter, bank: Bank | None) -> None:
        self._meter = meter
        self._bank = bank

    def seconds(self, name: str, buckets: tuple[float, ...] = semconv.DURATION_BUCKETS) -> Recorder:
        return self._make(name, semconv.SECONDS, buckets)

    def tokens(self, name: str) -> Recorder:
        return self._make(name, semconv.TOKENS, semconv.TOKEN_BUCKETS)

    def _make(self, name: str, unit: str, buckets: tuple[float, ...]) -> Recorder:
        if self._bank is not None:
            return self._bank.histogram(self._meter, name, unit, buckets)
        create = self._meter.create_histogram
        return create(name, unit, explicit_bucket_boundaries_advisory=buckets)


class MeshMetrics:
    """The instruments of one meter provider; `shared_metrics` returns them.

    All calls are recorded in batches, by the ledger. If the mesh has set up the meter provider,
    histograms come from its `bank`, which adds a batch up; else the SDK takes each value. That is
    one third cheaper in batches, by what the processor then has in its caches.
    """

    def __init__(
        self, meter: Meter, *, generations: frozenset[str], bank: Bank | None = None
    ) -> None:
        self._bank = bank
        self.ledger = Ledger(self._settle, _MAX_OWN if bank is not None else _MAX_BATCH)
        self._latest_at = -_ALONE_S
        self.has_exemplars = bank is None
        if bank is not None:
            bank.before_collecting(self._prepare)
        made = _Histograms(meter, bank)
        seconds, tokens = made.seconds, made.tokens
        chosen = [names for kind, names in _GENERATIONS.items() if kind in generations]
        self._durations = [seconds(names.duration) for names in chosen]
        self._first_chunks = [seconds(names.first_chunk) for names in chosen]
        self._per_chunk = [seconds(names.per_chunk) for names in chosen]
        # One histogram for both directions, distinguished by an attribute, or one for each.
        self._token_usage = tokens(semconv.TOKEN_USAGE) if "known" in generations else None
        self._token_histograms: tuple[Recorder, Recorder] | None = None
        if "latest" in generations:
            names = semconv.INFERENCE_INPUT, semconv.INFERENCE_OUTPUT
            self._token_histograms = tokens(names[0]), tokens(names[1])
        self._first_token = seconds(semconv.SERVER_FIRST_TOKEN, semconv.FIRST_TOKEN_BUCKETS)
        self._per_token = seconds(semconv.SERVER_PER_TOKEN, semconv.PER_TOKEN_BUCKETS)
        self._overhead = seconds(semconv.MESH_OVERHEAD, semconv.OVERHEAD_BUCKETS)
        # Exemplars of these would cost more than they are worth.
        self._untraced = frozenset((self._overhead, self._per_token))
        self.mirror_duration = seconds(semconv.MESH_MIRROR_DURATION)
        self.http_duration = seconds(semconv.HTTP_SERVER_DURATION, semconv.HTTP_BUCKETS)
        self._make_counters(meter, self._prepare)

    def _make_counters(self, meter: Meter, settle: Callable[[], None]) -> None:
        """Make counters and gauges; `settle` adds up what the ledger holds."""
        self.http_active = Tally(meter, semconv.HTTP_SERVER_ACTIVE, "{request}", is_up_down=True)
        self.active = InFlight(meter, semconv.MESH_ACTIVE, "{request}")
        self.requests = Tally(meter, semconv.MESH_REQUESTS, "{request}", prepare=settle)
        self.sticky_missing = Tally(meter, semconv.MESH_STICKY_MISSING, "{request}")
        self.dropped = Tally(meter, semconv.MESH_DROPPED, "{field}")
        self.attempts = Tally(meter, semconv.MESH_ATTEMPTS, "{attempt}", prepare=settle)
        self.fallbacks = Tally(meter, semconv.MESH_FALLBACKS, "{fallback}")
        self.cost = Tally(meter, semconv.MESH_COST, "{currency}", scale=1e-9)
        self.unpriced = Tally(meter, semconv.MESH_UNPRICED, "{attempt}")
        self.mirrors = Tally(meter, semconv.MESH_MIRRORS, "{request}")
        self._without_usage = Tally(meter, semconv.MESH_WITHOUT_USAGE, "{request}", prepare=settle)
        self._reloads = meter.create_counter(semconv.MESH_RELOADS, "{reload}")
        self._generation = meter.create_gauge(semconv.MESH_GENERATION, "{generation}")
        self._loaded_at = meter.create_gauge(
            semconv.MESH_LOADED_AT, semconv.SECONDS, "Unix time of the configuration in use"
        )
        self._usage = Tallies(
            meter,
            semconv.USAGE_COUNTERS.values(),
            unit=semconv.TOKENS,
            about="Tokens",
            prepare=settle,
        )
        self._asm = Tallies(
            meter,
            semconv.ASM_COUNTERS.values(),
            unit=semconv.TOKENS,
            about="Tokens (ASM)",
            prepare=settle,
        )
        self.ejections = Ejections(meter)
        self.policies = PolicyMetrics(meter)

    def reloaded(self, is_success: bool) -> None:
        """Count a reload."""
        self._reloads.add(1, {semconv.RELOAD_RESULT: "success" if is_success else "failure"})

    def in_use(self, generation: int, loaded_at: float) -> None:
        """Record which configuration is in use, and since when."""
        self._generation.set(generation)
        self._loaded_at.set(loaded_at)

    def record(self, account: Account, call: CallRow, at: float) -> None:
        """Record an exchange that has finished at `at`, in seconds: soon, or at once if alone.

        Where histograms are ours, the `ledger` takes it directly: it makes no difference there.

        Raises:
            Exception: what an exemplar filter or reservoir of the application raises.
        """
        self.ledger.add(account, call)
        is_alone = at - self._latest_at > _ALONE_S
        self._latest_at = at
        if is_alone:
            self.ledger.settle()

    def _prepare(self) -> None:
        """Record what is pending, before anything is collected."""
        try:
            self.ledger.settle()
        except Exception:
            logger.exception("the application's SDK has not recorded some values of calls")

    def _settle(self, labels: CallLabels, calls: list[CallRow]) -> None:
        tokens = _Tokens.of(calls)
        if self._bank is not None:
            self._bank.record_all(
                (histogram, amounts, attributes)
                for histogram, amounts, attributes, _ in self._values(labels, calls, tokens)
            )
        self._count(labels, calls, tokens)
        if self._bank is None:
            self._record_each(self._values(labels, calls, tokens))

    def _record_each(self, values: Iterable[_Column]) -> None:
        """Have the SDK record values.

        Durations and token counts carry exemplars, which lead from a figure to a trace; elsewhere
        an exemplar costs more than it is worth.
        """
        failure: Exception | None = None
        for histogram, amounts, attributes, calls in values:
            is_untraced = histogram in self._untraced
            for amount, call in zip(amounts, calls, strict=True):
                context = UNTRACED if is_untraced or call.parent is None else call.parent.context
                try:
                    histogram.record(amount, attributes, context)
                except Exception as exc:  # an exemplar reservoir of the application
                    failure = exc
        if failure is not None:
            raise failure

    def _count(self, labels: CallLabels, calls: list[CallRow], tokens: _Tokens) -> None:
        self.requests.add(len(calls), labels.request)
        if attempts := sum([call.has_sole_attempt for call in calls]):
            self.attempts.add(attempts, labels.attempt)
        if not labels.is_inference:
            return
        used = len(tokens.calls)
        self._usage.add(labels.usage, tokens.totals)  # by the convention, of every call
        if used and labels.asm is not None:
            self._asm.add(labels.asm, tokens.totals[: len(semconv.ASM_COUNTERS)])
        if used < len(calls):
            missing = sum(call.is_success for call in calls if call.usage is None)
            if missing:
                self._without_usage.add(missing, labels.key)

    def record_chunks(self, seconds: Iterable[float], labels: CallLabels) -> None:
        """Record the time of each chunk of a stream since the one before it."""
        for each in seconds:
            for per_chunk in self._per_chunk:
                per_chunk.record(each, labels.plain, UNTRACED)

    def _values(
        self, labels: CallLabels, calls: list[CallRow], tokens: _Tokens
    ) -> Iterable[_Column]:
        """Return the durations and token counts of calls, by histogram."""
        plain, failed = labels.plain, labels.failed
        durations = [call.duration_s for call in calls]
        for duration in self._durations:
            yield duration, durations, failed, calls
        yield self._overhead, [call.overhead_s for call in calls], labels.own, calls
        streams = [call for call in calls if call.first_chunk_s is not None]
        if streams:
            firsts = [call.first_chunk_s or 0.0 for call in streams]
            for histogram in (self._first_token, *self._first_chunks):
                yield histogram, firsts, plain, streams
            if paced := [call for call in streams if _has_pace(call)]:
                yield self._per_token, list(map(_per_token, paced)), plain, paced
        if not tokens.calls:
            return
        directions = [(tokens.input, labels.input)]
        if labels.has_output:
            directions.append((tokens.output, labels.output))
        for index, (amounts, attributes) in enumerate(directions):
            if self._token_usage is not None:
                yield self._token_usage, amounts, attributes, tokens.calls
            if self._token_histograms is not None:
                yield self._token_histograms[index], amounts, failed, tokens.calls


def _has_pace(call: CallRow) -> bool:
    """Return whether a stream has had tokens after the first, whose time is known."""
    return call.usage is not None and call.usage.output_tokens >= 2


def _per_token(call: CallRow) -> float:
    """Return the seconds for each token after the first."""
    tokens = 0 if call.usage is None else call.usage.output_tokens
    return (call.duration_s - (call.first_chunk_s or 0.0)) / (tokens - 1)

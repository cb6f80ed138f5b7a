"""The instruments of the mesh, and how one exchange is recorded on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from ..._core.values.usage import Usage
from .. import semconv
from ..owned.registry import Bank, Recorder
from .ejections import Ejections
from .labels import CallLabels
from .policies import PolicyMetrics
from .tallies import Tallies, Tally

__all__ = ["UNTRACED", "CallRecord", "MeshMetrics", "wanted_generations"]

UNTRACED = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""The context of a measurement without an exemplar, which costs more than it is worth there."""

_COUNTED: Callable[[Usage], tuple[int, ...]] = attrgetter(*semconv.USAGE_COUNTERS)
_ASM_COUNTED: Callable[[Usage], tuple[int, ...]] = attrgetter(*semconv.ASM_COUNTERS)

_NOTHING = (0,) * len(semconv.USAGE_COUNTERS)


class _Names(NamedTuple):
    """What one generation of the GenAI conventions calls the histograms of a call."""

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


class CallRecord(msgspec.Struct, frozen=True):
    """What is recorded of one exchange when it is over; all durations are in seconds.

    `has_output` is false for operations that generate nothing: no output is recorded, not even
    zero. `is_inference` is false for operations that take no tokens. `is_for_asm`: the tokens are
    counted under ASM's names too.
    """

    labels: CallLabels
    error_type: str | None
    duration_s: float
    first_chunk_s: float | None
    overhead_s: float
    usage: Usage | None
    has_answer: bool
    is_inference: bool
    has_output: bool
    is_for_asm: bool
    context: Context


def wanted_generations(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return which names of metrics to use, `known` or `latest`, as the environment says."""
    chosen = {item.strip() for item in environ.get(_OPT_IN, "").split(",")}
    if "gen_ai_latest_experimental/dup" in chosen:
        return frozenset(("known", "latest"))
    return frozenset(("latest",) if "gen_ai_latest_experimental" in chosen else ("known",))


class _Histograms:
    """Makes histograms, with their bucket boundaries as advice to the SDK, or of our own."""

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
    """Instruments made once per meter provider; `shared_metrics` hands them out.

    Where the meter provider is one that we have set up, histograms come from its `bank`.
    """

    def __init__(
        self, meter: Meter, *, generations: frozenset[str], bank: Bank | None = None
    ) -> None:
        made = _Histograms(meter, bank)
        seconds, tokens = made.seconds, made.tokens
        chosen = [names for kind, names in _GENERATIONS.items() if kind in generations]
        self._durations = [seconds(semconv.SERVER_DURATION), *(seconds(n.duration) for n in chosen)]
        self._first_chunks = [seconds(names.first_chunk) for names in chosen]
        self._per_chunk = [seconds(names.per_chunk) for names in chosen]
        # One histogram for both directions, told apart by an attribute, or one for each.
        self._token_usage = tokens(semconv.TOKEN_USAGE) if "known" in generations else None
        self._token_histograms: tuple[Recorder, Recorder] | None = None
        if "latest" in generations:
            names = semconv.INFERENCE_INPUT, semconv.INFERENCE_OUTPUT
            self._token_histograms = tokens(names[0]), tokens(names[1])
        self._first_token = seconds(semconv.SERVER_FIRST_TOKEN, semconv.FIRST_TOKEN_BUCKETS)
        self._per_token = seconds(semconv.SERVER_PER_TOKEN, semconv.PER_TOKEN_BUCKETS)
        self._overhead = seconds(semconv.MESH_OVERHEAD, semconv.OVERHEAD_BUCKETS)
        self.http_duration = seconds(semconv.HTTP_SERVER_DURATION, semconv.HTTP_BUCKETS)
        self.http_active = Tally(meter, semconv.HTTP_SERVER_ACTIVE, "{request}", can_fall=True)
        self.active = Tally(meter, semconv.MESH_ACTIVE, "{request}", can_fall=True)
        self.requests = Tally(meter, semconv.MESH_REQUESTS, "{request}")
        self.sticky_missing = Tally(meter, semconv.MESH_STICKY_MISSING, "{request}")
        self.dropped = Tally(meter, semconv.MESH_DROPPED, "{field}")
        self.attempts = Tally(meter, semconv.MESH_ATTEMPTS, "{attempt}")
        self.fallbacks = Tally(meter, semconv.MESH_FALLBACKS, "{fallback}")
        self.cost = Tally(meter, semconv.MESH_COST, "{currency}", scale=1e-9)
        self.unpriced = Tally(meter, semconv.MESH_UNPRICED, "{attempt}")
        self.mirrors = Tally(meter, semconv.MESH_MIRRORS, "{request}")
        self.mirror_duration = seconds(semconv.MESH_MIRROR_DURATION)
        self._without_usage = Tally(meter, semconv.MESH_WITHOUT_USAGE, "{request}")
        self._reloads = meter.create_counter(semconv.MESH_RELOADS, "{reload}")
        self._generation = meter.create_gauge(semconv.MESH_GENERATION, "{generation}")
        self._loaded_at = meter.create_gauge(
            semconv.MESH_LOADED_AT, semconv.SECONDS, "Unix time of the configuration in use"
        )
        self._usage = Tallies(
            meter, semconv.USAGE_COUNTERS.values(), unit=semconv.TOKENS, about="Tokens"
        )
        self._asm = Tallies(
            meter, semconv.ASM_COUNTERS.values(), unit=semconv.TOKENS, about="Tokens (ASM)"
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

    def record(self, call: CallRecord) -> None:
        """Record a finished exchange.

        Durations and token counts carry exemplars, which lead from a figure to a trace; elsewhere
        an exemplar costs more than it is worth.
        """
        labels, context = call.labels, call.context
        plain = failed = labels.plain
        if call.error_type is not None:
            failed = {**plain, semconv.ERROR_TYPE: call.error_type}
        for duration in self._durations:
            duration.record(call.duration_s, failed, context)
        self._overhead.record(call.overhead_s, labels.own, UNTRACED)
        if call.first_chunk_s is not None:
            self._first_token.record(call.first_chunk_s, plain, context)
            for first_chunk in self._first_chunks:
                first_chunk.record(call.first_chunk_s, plain, context)
        if call.usage is not None:
            self._record_usage(call, call.usage, failed)
        elif call.is_inference:
            self._usage.add(labels.usage, _NOTHING)  # the convention wants every call counted
            if call.has_answer:
                self._without_usage.add(1, labels.key)

    def record_chunks(self, seconds: Iterable[float], labels: CallLabels) -> None:
        """Record the time of each chunk of a stream since the one before it."""
        for each in seconds:
            for per_chunk in self._per_chunk:
                per_chunk.record(each, labels.plain, UNTRACED)

    def _record_usage(self, call: CallRecord, usage: Usage, failed: dict[str, str | int]) -> None:
        labels, context = call.labels, call.context
        if self._token_usage is not None:
            self._token_usage.record(usage.input_tokens, labels.input, context)
            if call.has_output:
                self._token_usage.record(usage.output_tokens, labels.output, context)
        if self._token_histograms is not None:
            inputs, outputs = self._token_histograms
            inputs.record(usage.input_tokens, failed, context)
            if call.has_output:
                outputs.record(usage.output_tokens, failed, context)
        if call.first_chunk_s is not None and usage.output_tokens > 1:
            rest_s = call.duration_s - call.first_chunk_s
            self._per_token.record(rest_s / (usage.output_tokens - 1), labels.plain, UNTRACED)
        self._usage.add(labels.usage, _COUNTED(usage))
        if call.is_for_asm:
            self._asm.add(labels.asm, _ASM_COUNTED(usage))

"""The instruments of the mesh, and how one exchange is recorded on them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter

from .._core.usage import Usage
from . import semconv
from .ejections import Ejections
from .tallies import Tallies, Tally

__all__ = ["CallRecord", "MeshMetrics", "wanted_generations"]

# What has no output counts none, rather than nothing.
_INPUT_ONLY = ("input_tokens",)
_BOTH = ("input_tokens", "output_tokens")

_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


class CallRecord(msgspec.Struct, frozen=True):
    """What is recorded of one exchange when it is over.

    `labels` are the attributes that every metric of the call carries; all durations are in seconds.
    """

    labels: tuple[tuple[str, str | int], ...]
    operation: str
    error_type: str | None
    duration_s: float
    first_chunk_s: float | None
    overhead_s: float | None
    usage: Usage | None
    has_answer: bool
    workload: str
    namespace: str
    destination: str
    model: str
    context: Context | None


def wanted_generations(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """`known` and `latest` names of the GenAI metrics, by `OTEL_SEMCONV_STABILITY_OPT_IN`."""
    chosen = {item.strip() for item in environ.get(_OPT_IN, "").split(",")}
    if "gen_ai_latest_experimental/dup" in chosen:
        return frozenset(("known", "latest"))
    return frozenset(("latest",) if "gen_ai_latest_experimental" in chosen else ("known",))


class MeshMetrics:
    """Instruments made once per meter provider; `shared_metrics` hands them out.

    Histograms bring their bucket boundaries as advice to the SDK.
    """

    def __init__(self, meter: Meter, *, generations: frozenset[str]) -> None:
        def seconds(name: str, buckets: tuple[float, ...] = semconv.DURATION_BUCKETS) -> Histogram:
            return meter.create_histogram(
                name, semconv.SECONDS, explicit_bucket_boundaries_advisory=buckets
            )

        def tokens(name: str) -> Histogram:
            return meter.create_histogram(
                name,
                semconv.TOKENS,
                explicit_bucket_boundaries_advisory=semconv.TOKEN_BUCKETS,
            )

        self._durations = [seconds(semconv.SERVER_DURATION)]
        self._first_chunks: list[Histogram] = []
        self._token_usage: Histogram | None = None
        self._token_histograms: dict[str, Histogram] = {}
        if "known" in generations:
            self._durations.append(seconds(semconv.OPERATION_DURATION))
            self._first_chunks.append(seconds(semconv.OPERATION_FIRST_CHUNK))
            self._token_usage = tokens(semconv.TOKEN_USAGE)
        if "latest" in generations:
            self._durations.append(seconds(semconv.INFERENCE_DURATION))
            self._first_chunks.append(seconds(semconv.INFERENCE_FIRST_CHUNK))
            self._token_histograms = {
                "input_tokens": tokens(semconv.INFERENCE_INPUT),
                "output_tokens": tokens(semconv.INFERENCE_OUTPUT),
            }
        self._first_token = seconds(semconv.SERVER_FIRST_TOKEN, semconv.FIRST_TOKEN_BUCKETS)
        self._per_token = seconds(semconv.SERVER_PER_TOKEN, semconv.PER_TOKEN_BUCKETS)
        self._overhead = seconds(semconv.MESH_OVERHEAD, semconv.OVERHEAD_BUCKETS)
        self.http_duration = seconds(semconv.HTTP_SERVER_DURATION, semconv.HTTP_BUCKETS)
        self.http_active = Tally(meter, semconv.HTTP_SERVER_ACTIVE, "{request}", can_fall=True)
        self.active = Tally(meter, semconv.MESH_ACTIVE, "{request}", can_fall=True)
        self.attempts = Tally(meter, semconv.MESH_ATTEMPTS, "{attempt}")
        self.fallbacks = Tally(meter, semconv.MESH_FALLBACKS, "{fallback}")
        self._without_usage = Tally(meter, semconv.MESH_WITHOUT_USAGE, "{request}")
        self._reloads = meter.create_counter(semconv.MESH_RELOADS, "{reload}")
        self._generation = meter.create_gauge(semconv.MESH_GENERATION, "{generation}")
        self._loaded_at = meter.create_gauge(
            semconv.MESH_LOADED_AT, semconv.SECONDS, "Unix time of the configuration in use"
        )
        self._usage = Tallies(meter, semconv.USAGE_COUNTERS, unit=semconv.TOKENS, about="Tokens")
        self._asm = Tallies(meter, semconv.ASM_COUNTERS, unit=semconv.TOKENS, about="Tokens (ASM)")
        self.ejections = Ejections(meter)

    def reloaded(self, is_success: bool) -> None:
        """The configuration was read again."""
        self._reloads.add(1, {semconv.RELOAD_RESULT: "success" if is_success else "failure"})

    def in_use(self, generation: int, loaded_at: float) -> None:
        """A configuration has come into use."""
        self._generation.set(generation)
        self._loaded_at.set(loaded_at)

    def record(self, call: CallRecord) -> None:
        """Record a finished exchange."""
        plain = dict(call.labels)
        labels = plain
        if call.error_type is not None:
            labels = {**plain, semconv.ERROR_TYPE: call.error_type}
        for duration in self._durations:
            duration.record(call.duration_s, labels, call.context)
        if call.overhead_s is not None:
            self._overhead.record(call.overhead_s, plain, call.context)
        if call.first_chunk_s is not None:
            self._first_token.record(call.first_chunk_s, plain, call.context)
            for first_chunk in self._first_chunks:
                first_chunk.record(call.first_chunk_s, plain, call.context)
        if call.usage is not None:
            self._record_usage(call, call.usage, plain, labels)
        elif call.has_answer:
            self._without_usage.add(1, call.labels)

    def _record_usage(
        self,
        call: CallRecord,
        usage: Usage,
        plain: dict[str, str | int],
        labels: dict[str, str | int],
    ) -> None:
        directions = _INPUT_ONLY if call.operation == "embeddings" else _BOTH
        for direction in directions:
            amount = getattr(usage, direction)
            if self._token_usage is not None:
                typed = {**plain, semconv.TOKEN_TYPE: direction.removesuffix("_tokens")}
                self._token_usage.record(amount, typed, call.context)
            if self._token_histograms:
                self._token_histograms[direction].record(amount, labels, call.context)
        if call.first_chunk_s is not None and usage.output_tokens > 1:
            rest_s = call.duration_s - call.first_chunk_s
            self._per_token.record(rest_s / (usage.output_tokens - 1), plain, call.context)
        counted = {name: getattr(usage, name) for name in semconv.USAGE_COUNTERS}
        self._usage.add((*call.labels, (semconv.TOKEN_MODALITY, "unknown")), counted)
        asm = (
            (semconv.ASM_WORKLOAD, call.workload),
            (semconv.ASM_NAMESPACE, call.namespace),
            (semconv.ASM_DESTINATION, call.destination),
            (semconv.ASM_MODEL, call.model),
        )
        self._asm.add(asm, {name: counted[name] for name in semconv.ASM_COUNTERS})

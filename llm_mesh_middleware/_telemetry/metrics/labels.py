"""The attribute sets of a call's metrics, made once for all calls with the same attributes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from .. import semconv
from .tallies import Labels

__all__ = ["CallKey", "CallLabels", "attempt_labels", "call_labels", "has_output"]

_MAX_KINDS = 1024
_OWN = (semconv.OPERATION, semconv.REQUEST_MODEL, semconv.ROUTE_NAME)


class CallLabels(msgspec.Struct, frozen=True):
    """`plain` is what every metric of the call carries, `key` the same for our own counters.

    `input` and `output` add which tokens are counted, `usage` that their modality is unknown. `own`
    is for the mesh's own time, which does not depend on the provider: each attribute costs a tenth
    of a measurement. `failed` is `plain` with the error of a call that had one, `request` what the
    counter of requests carries.

    `has_output` is false for operations that generate nothing: no output is recorded, not even
    zero. `is_inference` is false for operations that take no tokens. `asm` is for the counters of
    tokens under ASM's names, None if they are not wanted. `attempt` is for an attempt that was a
    success.
    """

    plain: dict[str, str | int]
    failed: dict[str, str | int]
    key: Labels
    input: dict[str, str | int]
    output: dict[str, str | int]
    own: dict[str, str | int]
    request: Labels
    usage: Labels
    asm: Labels | None
    attempt: Labels
    is_inference: bool
    has_output: bool


class CallKey(NamedTuple):
    """What tells calls apart in metrics.

    Attributes:
        workload: the workload that the mesh is part of, and its namespace, if tokens are counted
            under ASM's names too.
        operation: such as `chat`.
        vendor: the vendor of the API.
        provider: the document that declares the provider.
        host: the host of the provider.
        port: the port of the provider.
        model: the label of the requested model.
        response_model: the label of the model that the response names.
        route: the document of the selected rule.
        rule: the selected rule.
        error_type: the kind of failure, None for a success.
    """

    workload: tuple[str, str] | None
    operation: str
    vendor: str
    provider: str
    host: str
    port: int
    model: str | None
    response_model: str | None
    route: str | None
    rule: str | None
    error_type: str | None


def call_labels(call: CallKey) -> CallLabels:
    """Return the attribute sets of a call."""
    plain = _plain(call)
    key = tuple(plain.items())
    own = {name: plain[name] for name in _OWN if name in plain}
    error = _labels(semconv.ERROR_TYPE, call.error_type)
    return CallLabels(
        plain=plain,
        failed={**plain, **dict(error)},
        key=key,
        input={**plain, semconv.TOKEN_TYPE: "input"},
        output={**plain, semconv.TOKEN_TYPE: "output"},
        own=own,
        request=(*own.items(), *_labels(semconv.RULE_NAME, call.rule), *error),
        usage=(*key, (semconv.TOKEN_MODALITY, "unknown")),
        asm=None if call.workload is None else _asm_labels(call, *call.workload),
        attempt=attempt_labels(call.provider, None),
        is_inference=call.operation != "models",
        has_output=has_output(call.operation),
    )


def has_output(operation: str) -> bool:
    """Return whether an operation generates anything."""
    return operation != "embeddings"


def _plain(call: CallKey) -> dict[str, str | int]:
    """Return the labels of any call, in the order in which an SDK sorts them."""
    known: dict[str, str | int | None] = {
        semconv.OPERATION: call.operation,
        semconv.PROVIDER: semconv.provider_name(call.host, call.vendor, call.provider),
        semconv.REQUEST_MODEL: call.model,
        semconv.RESPONSE_MODEL: call.response_model,
        semconv.ROUTE_NAME: call.route,
        semconv.SERVER_ADDRESS: call.host,
        semconv.SERVER_PORT: call.port,
    }
    return {name: value for name, value in sorted(known.items()) if value is not None}


def _labels(name: str, value: str | None) -> Labels:
    """Return a label if there is a value for it."""
    return () if value is None else ((name, value),)


def _asm_labels(call: CallKey, workload: str, namespace: str) -> Labels:
    """Return the labels of tokens under ASM's names."""
    return (
        (semconv.ASM_WORKLOAD, workload),
        (semconv.ASM_NAMESPACE, namespace),
        (semconv.ASM_DESTINATION, call.host),
        (semconv.ASM_MODEL, call.model or ""),
    )


@lru_cache(maxsize=_MAX_KINDS)
def attempt_labels(provider: str, error_type: str | None) -> Labels:
    """Return the labels of an attempt that has ended; `error_type` is None for a success."""
    of_provider = (semconv.PROVIDER_NAME, provider)
    if error_type is None:
        return of_provider, (semconv.ATTEMPT_OUTCOME, "success")
    return of_provider, (semconv.ATTEMPT_OUTCOME, "error"), (semconv.ERROR_TYPE, error_type)

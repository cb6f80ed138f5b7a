"""The attribute sets of a call's metrics, each made once for all calls that are alike."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from .. import semconv
from .tallies import Labels

__all__ = ["CallLabels", "call_labels"]

_MAX_KINDS = 1024
_OWN = (semconv.OPERATION, semconv.REQUEST_MODEL, semconv.ROUTE_NAME)


class CallLabels(msgspec.Struct, frozen=True):
    """`plain` is what every metric of the call carries, `key` the same for our own counters.

    `input` and `output` add which tokens are counted, `usage` that their modality is unknown. `own`
    is for the mesh's own time, which does not depend on the provider: each attribute costs a tenth
    of a measurement. `request` is the same, for the counter of requests.
    """

    plain: dict[str, str | int]
    key: Labels
    input: dict[str, str | int]
    output: dict[str, str | int]
    own: dict[str, str | int]
    request: Labels
    usage: Labels
    asm: Labels


@lru_cache(maxsize=_MAX_KINDS)
def call_labels(
    caller: tuple[str, str],
    operation: str,
    provider: tuple[str, str],
    server: tuple[str, int],
    model: str | None,
    seen_model: str | None,
    route: str | None,
) -> CallLabels:
    """Return the attribute sets of a call.

    Args:
        caller: workload and namespace of the mesh.
        operation: such as `chat`.
        provider: the vendor of the API, and the document that declares the provider.
        server: its host and port.
        model: the requested model, under a name that metrics may carry.
        seen_model: the model that the response names, likewise.
        route: the document of the selected rule.
    """
    (workload, namespace), (host, port) = caller, server
    known: dict[str, str | int | None] = {
        semconv.OPERATION: operation,
        semconv.PROVIDER: semconv.provider_name(host, *provider),
        semconv.REQUEST_MODEL: model,
        semconv.RESPONSE_MODEL: seen_model,
        semconv.ROUTE_NAME: route,
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port,
    }
    # In the order in which an SDK sorts them.
    plain = {name: value for name, value in sorted(known.items()) if value is not None}
    key = tuple(plain.items())
    own = {name: plain[name] for name in _OWN if name in plain}
    return CallLabels(
        plain=plain,
        key=key,
        input={**plain, semconv.TOKEN_TYPE: "input"},
        output={**plain, semconv.TOKEN_TYPE: "output"},
        own=own,
        request=tuple(own.items()),
        usage=(*key, (semconv.TOKEN_MODALITY, "unknown")),
        asm=(
            (semconv.ASM_WORKLOAD, workload),
            (semconv.ASM_NAMESPACE, namespace),
            (semconv.ASM_DESTINATION, host),
            (semconv.ASM_MODEL, model or ""),
        ),
    )

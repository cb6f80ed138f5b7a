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
    """`plain` are what every metric of the call carries, `key` the same for a counter of ours.

    `input` and `output` say beside it which tokens are meant, `usage` that their kind is unknown.
    `own` are for the mesh's own time, which has nothing to do with who answers: each attribute of a
    measurement costs as much as a tenth of it. `request` are the same, for the counter of requests.
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
    """The sets for a call.

    Args:
        caller: workload and namespace of the mesh.
        operation: such as `chat`.
        provider: whose API is called, and the document that declares it.
        server: its host and port.
        model: the model asked for, by a name that a metric may show; so is the next.
        seen_model: the model that has answered.
        route: the document of the rule that won.
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

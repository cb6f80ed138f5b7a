"""The operations that a provider serves by translation, and its own operations used for them.

requested             the provider serves it itself ──► passed on, byte for byte
chat, responses,      otherwise ──► translated to the first of chat, responses, messages and
messages, content                   generated content that it serves, in the order of `apis`
anything else         otherwise ──► 404

A cached response to a client of one dialect is translated for clients of others.

What a translation needs is imported with the configuration, in some 30 ms: a first request that did
so would hold up the event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .._core.conversation.sides import ProviderSide
from .._core.conversation.writing import DialectOptions, Stamp
from .._core.dialect import ServedOperation
from .._core.later import load
from .._core.provider.upstream import Conversion, Upstream
from .._core.values.messages import ClientRequest
from ..exceptions import AnswerableError
from .anthropic import COUNT_TOKENS, MESSAGES
from .openai_chat import CHAT
from .registry import OPERATIONS
from .translation.counting import CountingProvider, CountTranslation
from .translation.pair import Translation
from .translation.proofs import ProofMemory

__all__ = [
    "Counter",
    "Targets",
    "provider_operation",
    "count",
    "own_targets",
    "translate_response",
    "served_by_translation",
    "served_itself",
    "translate",
]

Targets = Mapping[ServedOperation, str]
Conversions = Mapping[ServedOperation, Conversion]


class Counter(NamedTuple):
    """A provider's API for token counts, its target, and the operation whose key it takes."""

    provider: CountingProvider
    target: str
    operation: ServedOperation


# The names of operations in `apis`.
_NAMES = {
    operation.suffix.removesuffix("/completions").strip("/") or "completions": operation
    for operation in OPERATIONS
    if operation.has_body and operation.suffix.startswith("/")
}
_CLIENTS = {op: op.client for op in OPERATIONS if op.client is not None}
_PROVIDERS = {op: op.provider for op in OPERATIONS if op.provider is not None}
_COUNTING = {op: op.counting for op in OPERATIONS if op.counting is not None}
_READERS = {op.dialect.name: side for op, side in _PROVIDERS.items()}


def own_targets(targets: Targets, apis: Sequence[str]) -> Targets:
    """Return the targets of the operations that an OpenAI-compatible provider serves itself.

    Args:
        targets: the targets derived from its path.
        apis: the configured names of its APIs; empty if not configured.
    """
    if not apis:
        return targets if CHAT not in targets else _without(targets, MESSAGES, COUNT_TOKENS)
    own = [_NAMES[name] for name in apis]
    listed = {operation: targets[operation] for operation in own if operation in targets}
    bodiless = {op: target for op, target in targets.items() if not op.has_body}
    return listed | bodiless


def translate(
    targets: Targets,
    own: Conversions,
    options: DialectOptions,
    *,
    foreign: ProviderSide | None = None,
    base: str = "",
    memory: ProofMemory | None = None,
) -> tuple[Targets, Conversions]:
    """Return the targets with those of translated operations, and all conversions.

    Args:
        targets: those of what the provider serves itself, the preferred ones first.
        own: the conversions of those; a translation goes through them.
        options: how to write requests for the provider.
        foreign: a dialect that no client speaks; everything is translated to it.
        base: the target of that dialect.
        memory: where the provider's proofs are kept that clients may not send back.
    """
    load(*_COUNTING.values())  # counts that no provider makes are estimated
    if foreign is not None:
        translations = {
            operation: Translation(client, foreign, operation, options, memory=memory)
            for operation, client in _CLIENTS.items()
        }
        for translation in translations.values():
            translation.load()
        return dict.fromkeys(_CLIENTS, base), translations
    through = next((operation for operation in targets if operation in _PROVIDERS), None)
    load(*(operation.dialect for operation in targets))
    if through is None:
        return targets, own
    added, conversions = dict(targets), dict(own)
    for operation, client in _CLIENTS.items():
        if operation not in targets:
            added[operation] = targets[through]
            conversions[operation] = translation = Translation(
                client,
                _PROVIDERS[through],
                through,
                options,
                envelope=_envelope(through, own),
                memory=memory,
            )
            translation.load()
    return added, conversions


def count(
    targets: Targets,
    conversions: Conversions,
    options: DialectOptions,
    counter: Counter,
) -> tuple[Targets, Conversions]:
    """Return the targets and conversions with those of token counts for other dialects."""
    added = {
        operation: CountTranslation(client, counter.provider, counter.operation, options)
        for operation, client in _COUNTING.items()
        if operation not in targets
    }
    for translation in added.values():
        translation.load()
    return {**targets, **dict.fromkeys(added, counter.target)}, {**conversions, **added}


def served_itself(upstream: Upstream) -> frozenset[ServedOperation]:
    """Return the operations that a provider serves in their own dialect."""
    return frozenset(upstream.targets) - served_by_translation(upstream)


def served_by_translation(upstream: Upstream) -> frozenset[ServedOperation]:
    """Return the operations that a provider serves by translation."""
    return frozenset(
        operation
        for operation, conversion in upstream.conversions.items()
        if isinstance(conversion, Translation | CountTranslation)
    )


def provider_operation(
    operation: ServedOperation, conversion: Conversion | None
) -> ServedOperation:
    """Return the operation of the provider that serves a client's `operation`."""
    if isinstance(conversion, Translation | CountTranslation):
        return conversion.operation
    return operation


def translate_response(body: bytes, dialect: str, request: ClientRequest) -> bytes | None:
    """Return a whole response in the dialect of `request`; None if it cannot be translated.

    Args:
        body: the response.
        dialect: the name of its dialect.
        request: the request of another client, in its own dialect.
    """
    operation, reader = request.operation, _READERS.get(dialect)
    writer = _CLIENTS.get(operation) if isinstance(operation, ServedOperation) else None
    if reader is None or writer is None:
        return None
    created, token = request.mark
    stamp = Stamp(created, token, request.model or "")
    try:
        answer = reader.read_answer(body, stamp)
        return writer.write_answer(answer, writer.read_request(request), stamp)
    except AnswerableError:
        return None


def _envelope(through: ServedOperation, own: Conversions) -> Conversion | None:
    """Return the conversion that completes a translated request, if the dialect needs one."""
    return own.get(through) or through.dialect.transformer if through.has_envelope else None


def _without(targets: Targets, *dropped: ServedOperation) -> Targets:
    return {operation: target for operation, target in targets.items() if operation not in dropped}

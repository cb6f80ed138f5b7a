"""Caches of `LLMPolicy` documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ..._core.balance.backends import Backend
from ..._core.caching.key import key_of
from ..._core.guarding.guard import Guard
from ..._core.limiting.item import Part
from ..._core.policy.cache import CachePolicy, Semantic
from ..._core.routing.matching import Match
from ..._core.side_calls.service import Service
from ..._dialects.pairs import translate_response
from ...config import CacheItem
from ..matches import Workload

__all__ = ["compile_cache", "unscoped"]

_HOUR_S = 3600.0
_MAX_ENTRY_BYTES = 2**20


def compile_cache(
    policy: str,
    rule: tuple[str, str, str],
    item: CacheItem,
    when: Sequence[Match],
    backends: Sequence[Backend],
    guards: Sequence[Guard],
    semantic: Semantic | None,
    service: Service | None,
) -> CachePolicy:
    """Return the cache of one rule.

    Args:
        policy: namespace and name of the policy.
        rule: namespace and name of the route, and the name of the rule.
        item: the cache as written.
        when: its compiled matches.
        backends: the rule's; their configuration is part of the key.
        guards: the rule's; they are part of the key too.
        semantic: finds the entries of similar requests.
        service: keeps the responses instead of the store.
    """
    digests = [key_of(_configured(each)) for each in backends]
    configured = {
        digest: replace(each.upstream, stream=False)
        for digest, each in zip(digests, backends, strict=True)
    }
    return CachePolicy(
        policy=policy,
        rule=key_of((*rule, *digests)).encode(),
        guards=key_of(guard.digest for guard in guards).encode(),
        guards_when=tuple(guard.when for guard in guards if guard.when),
        upstreams=tuple(configured.values()),
        translate=translate_response,
        vary=tuple(map(_part, item.vary)),
        ttl_s=item.ttl or _HOUR_S,
        stale_s=item.stale_if_error or 0.0,
        when=tuple(when),
        ignore=frozenset(item.ignore),
        keeps_tool_calls=item.tool_calls,
        max_temperature=item.max_temperature,
        max_entry_bytes=item.max_entry_bytes or _MAX_ENTRY_BYTES,
        semantic=semantic,
        service=service,
    )


def unscoped(item: CacheItem, workload: Workload) -> str | None:
    """Return why a cache cannot separate its users, or None if it can."""
    if not workload.is_open or "vary" in item.model_fields_set:
        return None
    return (
        "needs `vary`: everyone may use this mesh without a key (LLM_MESH_ACCESS=open), so no"
        " request has a consumer; write `vary: []` to share responses, or name an attribute"
    )


def _configured(backend: Backend) -> Iterable[bytes | str | None]:
    upstream = backend.upstream
    yield upstream.provider
    yield upstream.host
    yield upstream.model
    yield repr(upstream.stream)
    for name, model in sorted(upstream.model_mapping.items()):
        yield name
        yield model
    for name, default in sorted(upstream.defaults.items()):
        yield name
        yield bytes(default)
    for operation, target in upstream.targets.items():
        yield operation.name
        yield target
    for field in upstream.headers:
        yield from field


def _part(text: str) -> Part:
    kind, _, name = text.partition(":")
    return Part("attribute", "consumer") if kind == "consumer" else Part(kind, name)  # type: ignore[arg-type]

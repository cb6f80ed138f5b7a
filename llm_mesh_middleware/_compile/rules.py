"""The parts of a rule other than matches and backends: timeouts, retries, balance, mirrors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .._core.balance.backends import Backend, Backends
from .._core.balance.balancer import Balancer
from .._core.balance.pooled import Pooled
from .._core.balance.scored import WARMUP_S, Scored
from .._core.balance.sticky import Sticky
from .._core.balance.weighted import Weighted
from .._core.dialect import ServedOperation
from .._core.provider.upstream import Upstream
from .._core.routing.mirror import Mirror
from .._core.routing.retry_policy import RetryPolicy
from .._core.routing.table import RouteRule
from .._core.routing.timeouts import Timeouts
from .._dialects.pairs import served_by_translation, served_itself

if TYPE_CHECKING:
    from ..config import Mirror as MirrorConfig
    from ..config import RetryPolicy as RetryConfig
    from ..config import RouteRule as RuleConfig
    from ..config import RuleTimeouts

__all__ = [
    "compile_balancer",
    "compile_mirror",
    "compile_retry",
    "compile_timeouts",
    "mirrors_itself",
    "mark_foreign_neighbours",
]

_MIRROR_FIELDS = {
    "percent": "percent",
    "max_concurrency": "max_concurrency",
    "max_body_bytes": "max_body_bytes",
    "timeout": "timeout_s",
    "compare_content": "compares_content",
}


def compile_timeouts(own: RuleTimeouts | None, default: Timeouts) -> Timeouts:
    """Return the rule's timeouts; those that it omits are the default's."""
    if own is None:
        return default
    return replace(default, **own.model_dump(exclude_none=True))


def compile_retry(own: RetryConfig | None) -> RetryPolicy:
    """Return the rule's retry policy."""
    default = RetryPolicy()
    if own is None:
        return default
    codes = own.codes
    return RetryPolicy(
        attempts=default.attempts if own.attempts is None else own.attempts,
        codes=default.codes if codes is None else frozenset(c for c in codes if type(c) is int),
        reasons=frozenset(c for c in codes or () if isinstance(c, str)),
        backoff_s=own.backoff or default.backoff_s,
        max_retry_after_s=own.max_retry_after or default.max_retry_after_s,
        hedge_after_s=own.hedge_after,
    )


def compile_balancer(rule: RuleConfig) -> Balancer:
    """Return the rule's balancer; a sticky key overrides everything else."""
    balance, sticky = rule.balance, rule.sticky_by
    balancer: Balancer = Weighted()
    if balance is not None and balance.policy != "weighted":
        balancer = Scored(balance.policy, balance.warmup or WARMUP_S)
    if any(ref.backend_ref is not None for ref in rule.backend_refs):
        balancer = Pooled(balancer)
    if sticky is None:
        return balancer
    if sticky.header is not None:
        return Sticky("header", sticky.header, balancer)
    return Sticky("attribute", sticky.attribute or "", balancer)


def compile_mirror(config: MirrorConfig, upstream: Upstream) -> Mirror:
    """Return a mirror at `upstream`."""
    given = config.model_dump(exclude_none=True)
    return Mirror(
        upstream,
        **{own: given[name] for name, own in _MIRROR_FIELDS.items() if name in given},
    )


def mirrors_itself(mirror: Upstream, backends: Iterable[Backend]) -> bool:
    """Return whether a copy would go to a backend of the rule, with the same model."""
    return any(
        mirror.identity == backend.upstream.identity and mirror.model == backend.upstream.model
        for backend in backends
    )


def mark_foreign_neighbours(rules: tuple[RouteRule, ...]) -> tuple[RouteRule, ...]:
    """Return the rules of a host, with `has_foreign_neighbours` set on their upstreams.

    An upstream has them if it serves an operation itself that another one of the host translates.
    """
    translated = frozenset(
        operation
        for rule in rules
        for backend in rule.backends
        for operation in served_by_translation(backend.upstream)
    )
    if not translated:
        return rules
    return tuple(
        replace(rule, backends=_with_neighbours(rule.backends, translated)) for rule in rules
    )


def _with_neighbours(backends: Backends, translated: frozenset[ServedOperation]) -> Backends:
    return Backends(
        [
            backend
            if served_itself(backend.upstream).isdisjoint(translated)
            else replace(backend, upstream=replace(backend.upstream, has_foreign_neighbours=True))
            for backend in backends
        ]
    )

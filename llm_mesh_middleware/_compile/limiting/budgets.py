"""`LLMPolicy.spec.budgets`, and the costs that no budget counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..._core.limiting.budget import Budget, BudgetOverride
from ..._core.limiting.calendar import Calendar
from ..._core.provider.upstream import Upstream
from ..._core.routing.matching import Match
from ...config import BudgetItem
from .limits import compile_part

__all__ = ["compile_budget", "uncounted"]

_NANO = 10**9


def compile_budget(
    policy: str, item: BudgetItem, when: tuple[Match, ...], matches: Sequence[Match]
) -> Budget:
    """Return the budget of an item; the arguments are those of `compile_limits`."""
    zone: tzinfo = UTC if item.time_zone is None else ZoneInfo(item.time_zone)
    return Budget(
        policy=policy,
        name=item.name,
        kind="budget",
        by=tuple(map(compile_part, item.by)),
        when=when,
        amount=_nano(item.amount),
        currency=item.currency,
        calendar=Calendar(item.per, zone),
        warn_at=tuple(sorted(item.warn_at)),
        on_exceeded=item.on_exceeded or "deny",
        is_for_priced_only=item.unpriced == "deny",
        reserve=item.reserve or "max",
        overrides=tuple(
            BudgetOverride(match, _nano(override.amount))
            for override, match in zip(item.overrides, matches, strict=True)
        ),
        on_missing=item.on_missing or "share",
        on_store_failure=item.on_store_failure or "local",
        is_shadow=item.shadow,
    )


def uncounted(
    upstreams: Iterable[Upstream], currencies: Iterable[str]
) -> Iterator[tuple[str, str, str | None]]:
    """Yield provider, model and currency of each cost that no budget counts.

    The currency is None if the model has no price. Only models that the configuration names are
    checked, since a client may name any; for a provider without one, the model is empty.
    """
    counted = frozenset(currencies)
    for upstream in upstreams:
        for model in _models(upstream):
            price = upstream.prices.find(model)
            if price is None and upstream.prices and not model:
                continue  # some models have a price, and the client chooses the model
            currency = None if price is None else price.currency
            if currency not in counted:
                yield upstream.provider, model, currency


def _models(upstream: Upstream) -> tuple[str, ...]:
    named = (upstream.model,) if upstream.model else tuple(upstream.model_mapping.values())
    return tuple(dict.fromkeys(named)) or ("",)


def _nano(amount: Decimal) -> int:
    return int(amount * _NANO)

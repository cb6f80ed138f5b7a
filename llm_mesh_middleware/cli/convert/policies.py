"""The `LLMPolicy` documents of a LiteLLM configuration: limits, budgets and a cache.

max_parallel_requests           requests at a time of each consumer
global_max_parallel_requests    requests at a time of all
cache, cache_params.ttl         a cache
rpm, tpm                        limits of a provider, if LiteLLM enforces them
max_budget, budget_duration     the budget of all, or of a deployment
provider_budget_config          budgets of vendors
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from . import spelling
from .deployments import Deployment, seconds
from .spelling import duration, match, slug

__all__ = [
    "POLICY_SETTINGS",
    "are_rates_limits",
    "read_budget",
    "read_cache",
    "read_limits",
    "read_rates",
]

# Settings that become policies, so no remark is made on them.
POLICY_SETTINGS = frozenset(
    (
        "budget_duration",
        "cache",
        "cache_params",
        "global_max_parallel_requests",
        "max_budget",
        "max_parallel_requests",
        "provider_budget_config",
    )
)
_PERIODS = {"1d": "day", "24h": "day", "7d": "week", "30d": "month", "1mo": "month"}
_DAYS = re.compile(r"(\d+)d")
_ENFORCED = "enforce_model_rate_limits"


def read_limits(general: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the limits on the proxy's callers."""
    limits: list[dict[str, Any]] = []
    for key, name, by in (
        ("max_parallel_requests", "per-consumer", ["consumer"]),
        ("global_max_parallel_requests", "all-callers", []),
    ):
        if isinstance(general.get(key), int):
            limits.append({"name": name, "by": by, "concurrency": general[key]})
    return [{key: value for key, value in each.items() if value != []} for each in limits]


def read_cache(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the cache of a policy, None if LiteLLM has none."""
    if settings.get("cache") is not True:
        return None
    params = settings.get("cache_params")
    ttl = seconds(params.get("ttl")) if isinstance(params, dict) else None
    return {} if ttl is None else {"ttl": duration(ttl)}


def read_budget(
    name: str, amount: object, period: object, **fields: object
) -> dict[str, Any] | None:
    """Return a budget, None if the amount is not one; without a period LiteLLM never resets it."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount <= 0:
        return None
    per = str(period or "year").strip()
    if days := _DAYS.fullmatch(per):
        per = _PERIODS.get(per, f"{24 * int(days[1])}h")
    text = spelling.amount(Decimal(str(amount)))
    return {"name": slug(name), **fields, "amount": text, "per": _PERIODS.get(per, per)}


def are_rates_limits(router: Mapping[str, Any]) -> bool:
    """Return whether LiteLLM enforces `rpm` and `tpm`; otherwise they are only shares."""
    checks = router.get("optional_pre_call_checks")
    strategy = str(router.get("routing_strategy") or "")
    is_asked = isinstance(checks, list) and _ENFORCED in checks
    return is_asked or strategy.startswith("usage-based-routing")


def read_rates(members: Iterable[Deployment]) -> list[dict[str, Any]]:
    """Return the limits on the deployments of one provider."""
    limits = []
    for each in members:
        condition = match(each.name)
        for number, field in zip(each.rates, ("requests", "tokens"), strict=True):
            if number is not None:
                limit = {"name": f"{slug(each.name)}-{field}", field: number, "per": "1m"}
                limits.append(limit | ({"when": [{"model": condition}]} if condition else {}))
    return limits

"""Merges the workers' reports on policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ..values import Level, PolicyReport, Report, key_of

__all__ = ["merge_policies"]

_FULLEST = 8


def merge_policies(
    reports: Sequence[Report], items: Mapping[str, PolicyReport]
) -> dict[str, PolicyReport]:
    """Add up the decisions, and keep the newest of each level: workers may share a store.

    Configured items come first, also those that have decided nothing.
    """
    merged: dict[str, PolicyReport] = {}
    for report in reports:
        for found in report.policies:
            key = key_of(found.policy, found.item, found.kind)
            known = merged.get(key)
            merged[key] = found if known is None else _merged(known, found)
    return {key: _set(item, merged.get(key)) for key, item in items.items()} | {
        key: found for key, found in merged.items() if key not in items
    }


def _set(item: PolicyReport, found: PolicyReport | None) -> PolicyReport:
    return item if found is None else replace(found, full=item.full, says=item.says)


def _merged(one: PolicyReport, other: PolicyReport) -> PolicyReport:
    levels: dict[tuple[str, ...], Level] = {}
    for level in sorted((*one.levels, *other.levels), key=lambda level: level.second):
        levels[level.by] = level
    return PolicyReport(
        one.policy,
        one.item,
        one.kind,
        currency=one.currency or other.currency,
        counts=dict(Counter(one.counts) + Counter(other.counts)),
        levels=sorted(levels.values(), key=lambda level: level.left / level.of)[:_FULLEST],
    )

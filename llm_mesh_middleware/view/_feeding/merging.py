"""The reports of all workers as one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .._watching.series import quantile
from ..values import (
    Call,
    ConfigStatus,
    Edge,
    Host,
    PolicyReport,
    ProviderReport,
    ProviderState,
    Report,
    RuleTraffic,
    Second,
    Snapshot,
    Traffic,
    key_of,
)
from .backends import STATES, best_of_servers, merge_mirrors, merge_servers
from .policies import merge_policies

__all__ = ["merge"]

_RECENT_S = 5
_RATE_LIMITED = "429"
_NANO = 10**9


def merge(
    reports: Sequence[Report],
    *,
    at: float,
    second: int,
    config: ConfigStatus,
    hosts: dict[str, Host],
    items: Mapping[str, PolicyReport],
    calls: list[Call],
    trace_url: str | None = None,
) -> Snapshot:
    """Add up the reports of all workers.

    Args:
        reports: one per worker.
        at: the time, in seconds since the epoch.
        second: the time on the monotonic clock.
        config: the state of the configuration.
        hosts: its virtual hosts.
        items: its policy items.
        calls: the last calls of all workers.
        trace_url: the URL of a trace, with `{trace_id}` in it.
    """
    by_key = _by_key(reports)
    minutes: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for key, found in by_key.items():
        if len(key) == 3:
            minutes[key[:2]] += sum(each.minute for each in found)
    return Snapshot(
        at=round(at, 3),
        second=second,
        workers=len(reports),
        config=config,
        hosts=hosts,
        rules={key_of(*key): _rule(found) for key, found in by_key.items() if len(key) < 3},
        edges={
            key_of(*key): _edge(found, minutes[key[:2]])
            for key, found in by_key.items()
            if len(key) == 3
        },
        providers=_providers(hosts, reports),
        servers=merge_servers(reports),
        mirrors=merge_mirrors(reports),
        seconds=_seconds(reports),
        calls=calls,
        trace_url=trace_url,
        policies=merge_policies(reports, items),
    )


def _by_key(reports: Sequence[Report]) -> dict[tuple[str, ...], list[Traffic]]:
    found: defaultdict[tuple[str, ...], list[Traffic]] = defaultdict(list)
    for report in reports:
        for traffic in report.traffic:
            found[traffic.key].append(traffic)
    return found


def _rates(found: Sequence[Traffic]) -> list[float]:
    return [
        round(sum(counts) / _RECENT_S, 2) for counts in zip(*(t.recent for t in found), strict=True)
    ]


def _rule(found: Sequence[Traffic]) -> RuleTraffic:
    rate, error_rate, token_rate = _rates(found)
    durations = _added(each.durations for each in found)
    return RuleTraffic(
        rate=rate,
        error_rate=error_rate,
        token_rate=token_rate,
        calls=sum(each.five_minutes[0] for each in found),
        errors=sum(each.five_minutes[1] for each in found),
        p50_ms=_ms(durations, 0.5),
        p99_ms=_ms(durations, 0.99),
        sticky_missing=sum(each.sticky_missing for each in found),
    )


def _edge(found: Sequence[Traffic], of_rule: int) -> Edge:
    rate, error_rate, token_rate = _rates(found)
    durations = _added(each.durations for each in found)
    minute = sum(each.minute for each in found)
    return Edge(
        rate=rate,
        error_rate=error_rate,
        token_rate=token_rate,
        calls=sum(each.five_minutes[0] for each in found),
        errors=sum(each.five_minutes[1] for each in found),
        p50_ms=_ms(durations, 0.5),
        p99_ms=_ms(durations, 0.99),
        first_p50_ms=_ms(_added(each.firsts for each in found), 0.5),
        in_flight=sum(each.in_flight for each in found),
        open_streams=sum(each.open_streams for each in found),
        seen_share=round(minute / of_rule, 3) if of_rule else None,
        costs=_costs(found),
    )


def _costs(found: Sequence[Traffic]) -> dict[str, float]:
    sums: defaultdict[str, int] = defaultdict(int)
    for each in found:
        for currency, amount in each.costs.items():
            sums[currency] += amount
    return {currency: amount / _NANO for currency, amount in sums.items()}


def _added(histograms: Iterable[Sequence[int]]) -> list[int]:
    filled = [each for each in histograms if each]
    return [sum(counts) for counts in zip(*filled, strict=True)]


def _ms(counts: Sequence[int], part: float) -> float | None:
    seconds = quantile(counts, part)
    return None if seconds is None else float(f"{seconds * 1000:.3g}")


def _providers(hosts: Mapping[str, Host], reports: Sequence[Report]) -> dict[str, ProviderState]:
    names = {
        backend.host for host in hosts.values() for rule in host.rules for backend in rule.backends
    }
    return {
        name: _provider([one for report in reports for one in _found(name, report)])
        for name in sorted(names)
    }


def _found(host: str, report: Report) -> list[ProviderReport]:
    own = report.providers.get(host)
    return best_of_servers(host, report.servers) if own is None else [own]


def _provider(found: Sequence[ProviderReport]) -> ProviderState:
    states = [_state(each) for each in found]
    waits = [each.ejected_for_s for each in found if each.state == "ejected"]
    return ProviderState(
        state=max(states, key=STATES.index, default="unknown"),
        ejected_for_s=max(waits, default=0.0),
        ejected_in=len(waits),
        failures=max((each.failures for each in found), default=0),
        in_flight=sum(each.in_flight for each in found),
        last_failure=next((each.last_failure for each in found if each.last_failure), None),
    )


def _state(report: ProviderReport) -> str:
    if report.state == "ejected" and report.last_failure == _RATE_LIMITED:
        return "rate_limited"
    return report.state


def _seconds(reports: Sequence[Report]) -> list[Second]:
    if len(reports) == 1:
        return reports[0].seconds
    totals: dict[int, Second] = {}
    for report in reports:
        for second, calls, errors, tokens in report.seconds:
            _, *before = totals.get(second, (second, 0, 0, 0))
            totals[second] = second, before[0] + calls, before[1] + errors, before[2] + tokens
    return [totals[second] for second in sorted(totals)]

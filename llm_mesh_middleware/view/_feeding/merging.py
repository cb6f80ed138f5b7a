"""The reports of all workers as one snapshot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from .._watching.series import added, quantile
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

Key = tuple[str, ...]


def merge(
    reports: Sequence[Report],
    *,
    at: float,
    second: int,
    config: ConfigStatus,
    hosts: dict[str, Host],
    items: Mapping[str, PolicyReport],
    calls: list[Call],
    skipped: int = 0,
    trace_url: str | None = None,
) -> Snapshot:
    """Add up the reports of all workers.

    Args:
        at: the time, in seconds since the epoch.
        second: the time on the monotonic clock.
        config: the state of the configuration.
        hosts: its virtual hosts.
        items: its policy items.
        calls: the last calls of all workers.
        skipped: how many of the last second are not among them.
        trace_url: the URL of a trace, with `{trace_id}` in it.
    """
    traffic = _traffic(reports)
    minutes: defaultdict[Key, int] = defaultdict(int)
    for key, found in traffic.items():
        if len(key) == 3:
            minutes[key[:2]] += found.minute
    return Snapshot(
        at=round(at, 3),
        second=second,
        workers=len(reports),
        config=config,
        hosts=hosts,
        rules={key_of(*key): _rule(found) for key, found in traffic.items() if len(key) < 3},
        edges={
            key_of(*key): _edge(found, minutes[key[:2]])
            for key, found in traffic.items()
            if len(key) == 3
        },
        providers=_providers(hosts, reports),
        servers=merge_servers(reports),
        mirrors=merge_mirrors(reports),
        seconds=_seconds(reports),
        calls=calls,
        skipped=skipped,
        trace_url=trace_url,
        policies=merge_policies(reports, items),
    )


def _traffic(reports: Sequence[Report]) -> dict[Key, Traffic]:
    """Return the traffic of all workers by key."""
    by_key: defaultdict[Key, list[Traffic]] = defaultdict(list)
    for report in reports:
        for traffic in report.traffic:
            by_key[traffic.key].append(traffic)
    return {key: found[0] if len(found) == 1 else _sum(found) for key, found in by_key.items()}


def _sum(found: Sequence[Traffic]) -> Traffic:
    recent = zip(*(each.recent for each in found), strict=True)
    recent_calls, recent_errors, recent_tokens = map(sum, recent)
    calls, errors = map(sum, zip(*(each.five_minutes for each in found), strict=True))
    costs = Counter[str]()
    for each in found:
        costs.update(each.costs)
    return Traffic(
        key=found[0].key,
        recent=(recent_calls, recent_errors, recent_tokens),
        minute=sum(each.minute for each in found),
        five_minutes=(calls, errors),
        durations=added(each.durations for each in found),
        firsts=added(each.firsts for each in found),
        in_flight=sum(each.in_flight for each in found),
        open_streams=sum(each.open_streams for each in found),
        sticky_missing=sum(each.sticky_missing for each in found),
        costs=dict(costs),
    )


def _rule(traffic: Traffic) -> RuleTraffic:
    return RuleTraffic(*_measures(traffic), sticky_missing=traffic.sticky_missing)


def _edge(traffic: Traffic, of_rule: int) -> Edge:
    return Edge(
        *_measures(traffic),
        first_p50_ms=_ms(traffic.firsts, 0.5),
        in_flight=traffic.in_flight,
        open_streams=traffic.open_streams,
        seen_share=round(traffic.minute / of_rule, 3) if of_rule else None,
        costs={currency: amount / _NANO for currency, amount in traffic.costs.items()},
    )


def _measures(
    traffic: Traffic,
) -> tuple[float, float, float, int, int, float | None, float | None]:
    """Return the fields of `Measures`."""
    calls, errors, tokens = traffic.recent
    return (
        round(calls / _RECENT_S, 2),
        round(errors / _RECENT_S, 2),
        round(tokens / _RECENT_S, 2),
        *traffic.five_minutes,
        _ms(traffic.durations, 0.5),
        _ms(traffic.durations, 0.99),
    )


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

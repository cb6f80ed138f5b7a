"""An explanation as sections of rows, and as plain text.

The first cell of a row is its subject, which determines its colour in a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..routing.retry_policy import RetryPolicy
from ..routing.timeouts import Timeouts
from .findings import BackendExplanation, BodyChange, Findings, RuleExplanation

__all__ = ["Row", "Section", "make_sections", "render"]

Row = tuple[str, ...]


class Section(msgspec.Struct, frozen=True):
    """Rows of cells below a title."""

    title: str
    rows: tuple[Row, ...]


def make_sections(findings: Findings) -> tuple[Section, ...]:
    """Return the sections that have rows."""
    sections = [
        Section("request", tuple(_request_rows(findings))),
        Section("rules", tuple(row for rule in findings.rules for row in _rule_rows(rule))),
        Section("backends", tuple(_backend_rows(findings))),
        *(
            Section(f"servers of {backend.provider}", tuple(_server_rows(backend)))
            for backend in findings.backends
        ),
        Section("policies", tuple(_policy_rows(findings))),
        Section("mirrors", tuple(_mirror_rows(findings))),
        *(
            Section(f"call to {backend.provider}", tuple(_call_rows(backend)))
            for backend in findings.backends
        ),
    ]
    if findings.retry is not None and findings.timeouts is not None:
        rows = (("retry", _retry(findings.retry)), ("timeouts", _timeouts(findings.timeouts)))
        sections.append(Section("limits", rows))
    return tuple(section for section in sections if section.rows)


def render(sections: Iterable[Section]) -> str:
    """Return the sections as lines, with the cells of each section aligned."""
    return "\n".join(
        line for section in sections for line in (section.title, *_lines(section.rows))
    )


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(*(row[:-1] for row in rows), strict=True)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join((*padded, row[-1])).rstrip()


def _request_rows(findings: Findings) -> Iterator[Row]:
    yield "request", f"{findings.method} http://{findings.host}{findings.path}"
    for name, value in (
        ("operation", findings.operation),
        ("virtual host", findings.virtual_host),
        ("route", findings.route),
        ("rule", findings.rule),
    ):
        if value is not None:
            yield name, value
    if findings.models:
        yield "models", f"{', '.join(findings.models)}; no provider is asked"
    sticky = findings.sticky
    if sticky is not None and not sticky.value:
        yield "sticky", f"the request has no {sticky.field}, so its backend is drawn at random"
    refusal = findings.refusal
    if refusal is not None:
        yield "refused", f"{refusal.status} {refusal.code}: {refusal.message}"


def _rule_rows(rule: RuleExplanation) -> Iterator[Row]:
    first, *others = rule.reasons
    yield rule.outcome, rule.name, first
    for reason in others:
        yield "", "", reason


def _backend_rows(findings: Findings) -> Iterator[Row]:
    for backend in findings.backends:
        facts = [f"weight {backend.weight}"] if backend.share < 1 else []
        if backend.score is not None:
            facts.append(f"score {backend.score:.4g}")
        if backend.is_sticky_choice and findings.sticky is not None:
            facts.append(f"selected by {findings.sticky.field} {findings.sticky.value!r}")
        if backend.priority != findings.backends[0].priority:
            facts.append("used if no backend before it can serve")
        share = f"{100 * backend.share:.4g} %"
        model = backend.model or "-"
        yield f"priority {backend.priority}", share, backend.provider, model, ", ".join(facts)


def _server_rows(backend: BackendExplanation) -> Iterator[Row]:
    for server in backend.servers:
        facts = [server.fault] if server.fault else []
        if server.score is not None and server.cache_used is not None:
            facts.append(f"{server.waiting} waiting, {server.running} running")
            facts.append(f"cache {100 * server.cache_used:.0f} %, score {server.score:.4g}")
        elif not facts:
            facts.append("its load is not known")
        state = "server" if server.is_available else "ejected"
        yield state, server.address, "; ".join(facts)


def _policy_rows(findings: Findings) -> Iterator[Row]:
    for each in findings.policies:
        name = f"{each.policy}/{each.item}"
        about = f"at {each.provider}: {each.text}" if each.provider else each.text
        yield "holds" if each.holds else "skipped", name, each.kind, about


def _mirror_rows(findings: Findings) -> Iterator[Row]:
    for mirror in findings.mirrors:
        why = mirror.obstacle or "a copy; its response is thrown away"
        yield "mirror", f"{mirror.percent:.4g} %", mirror.provider, mirror.model or "-", why


def _call_rows(backend: BackendExplanation) -> Iterator[Row]:
    if backend.refusal is not None:
        yield "not called", backend.refusal
        return
    if backend.dialect != backend.client_dialect:
        yield "dialect", f"{backend.client_dialect}, translated to {backend.dialect}"
    if backend.dropped:
        yield "dropped", ", ".join(backend.dropped)
    yield "url", f"{backend.method} {backend.url}"
    if backend.connects_to is not None:
        yield "connects to", backend.connects_to
    for name, value in backend.headers:
        yield "header", f"{name}: {value}"
    for change in backend.body:
        yield "body", _change(change)


def _change(change: BodyChange) -> str:
    line = f"{change.name} {change.action}"
    return line if change.value is None else f"{line}: {change.value}"


def _retry(retry: RetryPolicy) -> str:
    if retry.attempts == 0:
        return "never"
    codes = ", ".join([*map(str, sorted(retry.codes)), *sorted(retry.reasons)])
    parts = [
        f"at most {retry.attempts} more attempt{'s' * (retry.attempts > 1)} on failed"
        f" connections{codes and ', ' + codes}",
        f"backoff from {retry.backoff_s:g} s",
        f"Retry-After up to {retry.max_retry_after_s:g} s",
    ]
    if retry.hedge_after_s is not None:
        parts.append(f"a second call in parallel after {retry.hedge_after_s:g} s")
    return "; ".join(parts)


def _timeouts(timeouts: Timeouts) -> str:
    return (
        f"connect {timeouts.connect:g} s, first byte {timeouts.first_byte:g} s, "
        f"idle {timeouts.idle:g} s, request {timeouts.request:g} s"
    )

"""Guards of `LLMPolicy` documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from ..._core.guarding.finding import Recogniser
from ..._core.guarding.guard import Guard
from ..._core.guarding.keywords import Keywords
from ..._core.guarding.patterns import Patterns, Unmatched
from ..._core.guarding.remote.verdict import RemoteGuard
from ..._core.guarding.remote.verdict_findings import VerdictFindings
from ..._core.guarding.scanner import Scanner
from ..._core.guarding.shape import SchemaGuard
from ..._core.routing.matching import Match
from ..._core.routing.regex import LinearPattern
from ..._manifest import Resource
from ...config import GuardItem
from ...exceptions import Problem
from .inspectors import Inspectors
from .schemas import compile_schema

__all__ = ["compile_guard"]

_LONGEST = 256
_TIMEOUTS_S = {"webhook": 2.0, "judge": 10.0, "moderation": 10.0}
# Characters of a streamed response per verdict, and of the context that two verdicts share.
_WINDOW, _OVERLAP = 1000, 256


def compile_guard(
    resource: Resource,
    item: GuardItem,
    when: Sequence[Match],
    path: tuple[str | int, ...],
    problems: list[Problem],
    inspectors: Inspectors,
) -> Guard | RemoteGuard | SchemaGuard | None:
    """Return a guard, or None if it cannot be used.

    Args:
        resource: the document.
        item: the guard as written.
        when: its compiled matches.
        path: its place in the document.
        problems: gets the faults of its regular expressions and schemas.
        inspectors: makes the client of the service that it asks.
    """
    inspector = inspectors.of(resource, item, path)
    if inspector is not None:
        return RemoteGuard(
            guard=_guard(resource, item, when, VerdictFindings()),
            inspector=inspector,
            timeout_s=item.timeout or _TIMEOUTS_S[inspector.kind],
            is_open=item.on_failure == "allow",
            window=item.window or _WINDOW,
            overlap=_OVERLAP,
            is_concurrent=item.mode == "concurrent",
        )
    if item.json_schema is not None:
        return _shape(resource, item, when, path, problems)
    scanner = _scanner(resource, item, path, problems)
    return None if scanner is None else _guard(resource, item, when, scanner)


def _guard(
    resource: Resource, item: GuardItem, when: Sequence[Match], scanner: Recogniser
) -> Guard:
    deny, mask = item.action.deny, item.action.mask
    written = msgspec.json.encode(item.model_dump(mode="json"))
    return Guard(
        policy=f"{resource.namespace}/{resource.name}",
        name=item.name,
        scanner=scanner,
        action="deny" if deny is not None else "mask" if mask is not None else "log",
        sides=frozenset(("response",) if item.json_schema is not None else item.on),
        roles=None if item.roles is None else frozenset(item.roles),
        when=tuple(when),
        unmasks=mask is not None and mask.unmask,
        status=(deny and deny.status) or 403,
        message=(deny and deny.message) or "",
        is_shadow=item.shadow,
        digest=hashlib.blake2b(written, digest_size=16).digest(),
    )


def _shape(
    resource: Resource,
    item: GuardItem,
    when: Sequence[Match],
    path: tuple[str | int, ...],
    problems: list[Problem],
) -> SchemaGuard | None:
    written, path = item.json_schema, (*path, "schema")
    if written is None:
        return None
    answer = None
    if written.answer is not None:
        answer = compile_schema(resource, written.answer, (*path, "answer"), problems)
    tools = {
        name: compile_schema(resource, schema, (*path, "tools", name), problems)
        for name, schema in written.tools.items()
    }
    return SchemaGuard(
        guard=_guard(resource, item, when, VerdictFindings()),
        answer=answer,
        tools={name: fits for name, fits in tools.items() if fits is not None},
    )


def _scanner(
    resource: Resource, item: GuardItem, path: tuple[str | int, ...], problems: list[Problem]
) -> Recogniser | None:
    if item.pii is not None:
        return Scanner.of_entities(item.pii.entities)
    if item.keywords is not None:
        words = item.keywords
        return Keywords(words.deny, entity="KEYWORD", ignore_case=words.ignore_case)
    if item.regex is None:
        return None
    field = "deny" if item.regex.deny else "allow"
    expressions = item.regex.deny or item.regex.allow
    is_good = True
    for index, pattern in enumerate(expressions):
        try:
            LinearPattern(pattern)
        except ValueError as exc:
            problems.append(resource.problem((*path, "regex", field, index), str(exc)))
            is_good = False
    if not is_good:
        return None
    patterns = Patterns(expressions, entity="PATTERN", longest=item.regex.max_match or _LONGEST)
    return patterns if item.regex.deny else Unmatched(patterns, entity="UNMATCHED")

"""Guards of `LLMPolicy` documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from .._core.guarding.finding import Recogniser
from .._core.guarding.guard import Guard
from .._core.guarding.keywords import Keywords
from .._core.guarding.patterns import Patterns
from .._core.guarding.scanner import Scanner
from .._core.routing.matching import Match
from .._core.routing.regex import LinearPattern
from .._manifest import Resource
from ..config import GuardItem
from ..exceptions import Problem

__all__ = ["compile_guard"]

_LONGEST = 256


def compile_guard(
    resource: Resource,
    item: GuardItem,
    when: Sequence[Match],
    path: tuple[str | int, ...],
    problems: list[Problem],
) -> Guard | None:
    """Return a guard, or None if it cannot be used.

    Args:
        resource: the document.
        item: the guard as it is written.
        when: its compiled matches.
        path: the place of the item in the document.
        problems: gets what is wrong with its regular expressions.
    """
    scanner = _scanner(resource, item, path, problems)
    if scanner is None:
        return None
    deny, mask = item.action.deny, item.action.mask
    written = msgspec.json.encode(item.model_dump(mode="json"))
    return Guard(
        policy=f"{resource.namespace}/{resource.name}",
        name=item.name,
        scanner=scanner,
        action="deny" if deny is not None else "mask" if mask is not None else "log",
        sides=frozenset(item.on),
        roles=None if item.roles is None else frozenset(item.roles),
        when=tuple(when),
        unmasks=mask is not None and mask.unmask,
        status=(deny and deny.status) or 403,
        message=(deny and deny.message) or "",
        is_shadow=item.shadow,
        digest=hashlib.blake2b(written, digest_size=16).digest(),
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
    is_good = True
    for index, pattern in enumerate(item.regex.deny):
        try:
            LinearPattern(pattern)
        except ValueError as exc:
            problems.append(resource.problem((*path, "regex", "deny", index), str(exc)))
            is_good = False
    longest = item.regex.max_match or _LONGEST
    return Patterns(item.regex.deny, entity="PATTERN", longest=longest) if is_good else None

"""Compile `RouteMatch` to conditions; labels and gateways are evaluated here, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from .._core.routing.matching import Condition, Exact, Match, Prefix, Present, Regex, StringTest
from .._manifest import Resource
from ..exceptions import Problem

if TYPE_CHECKING:
    from ..config import RouteMatch, StringMatch

__all__ = ["Workload", "compile_match", "in_gateways", "string_test", "subjects"]


class Workload(msgspec.Struct, frozen=True):
    """This process as a workload: its labels, namespace and gateway names.

    `is_open` is true if everyone may use it without a key, so that no request has a consumer.
    """

    labels: Mapping[str, str]
    namespace: str = "default"
    gateways: frozenset[str] = frozenset(("mesh",))
    is_open: bool = False

    def lacks(self, wanted: Mapping[str, str]) -> str | None:
        """Return the first label of `wanted` that this workload does not have, as `key=value`."""
        for key, value in wanted.items():
            if self.labels.get(key) != value:
                return f"{key}={value}"
        return None


def in_gateways(workload: Workload, gateways: tuple[str, ...] | None, namespace: str) -> bool:
    """Return whether traffic of this workload passes one of `gateways`; none means `mesh`.

    A name without a namespace is in the route's (Istio VirtualService `gateways`).
    """
    for gateway in gateways or ("mesh",):
        full = gateway if "/" in gateway or gateway == "mesh" else f"{namespace}/{gateway}"
        if full in workload.gateways or gateway in workload.gateways:
            return True
    return False


def compile_match(
    resource: Resource,
    match: RouteMatch,
    path: tuple[str | int, ...],
    *,
    workload: Workload,
    route_gateways: tuple[str, ...] | None,
    problems: list[Problem],
) -> Match:
    """Compile a match to conditions on a request; an unusable pattern goes to `problems`."""
    conditions = []
    for kind, key, field, wanted in subjects(match):
        try:
            conditions.append(Condition(kind, key, string_test(wanted)))
        except ValueError as exc:
            problems.append(resource.problem((*path, *field, "regex"), str(exc)))
    gateways = match.gateways if match.gateways is not None else route_gateways
    excluded = None
    if not in_gateways(workload, gateways, resource.namespace):
        excluded = f"gateways {', '.join(gateways or ('mesh',))} are not this workload's"
    elif (label := workload.lacks(match.source_labels or {})) is not None:
        excluded = f"this workload has no label {label}"
    return Match(tuple(conditions), excluded)


def subjects(match: RouteMatch) -> Iterator[tuple[str, str, tuple[str, ...], StringMatch]]:
    """Yield (kind, key, field, wanted) for each condition of a match."""
    for kind in ("method", "path", "model"):
        wanted: StringMatch | None = getattr(match, kind)
        if wanted is not None:
            yield kind, "", (kind,), wanted
    for key, wanted in (match.headers or {}).items():
        yield "header", key, ("headers", key), wanted
    for key, wanted in (match.attributes or {}).items():
        yield "attribute", key, ("attributes", key), wanted


def string_test(wanted: StringMatch) -> StringTest:
    """Return the test of a manifest's string match.

    Raises:
        ValueError: its regular expression cannot be used.
    """
    if wanted.exact is not None:
        return Exact(wanted.exact)
    if wanted.prefix is not None:
        return Prefix(wanted.prefix)
    if wanted.regex is not None:
        from .._core.routing.regex import LinearPattern

        return Regex(LinearPattern(wanted.regex))
    return Present()

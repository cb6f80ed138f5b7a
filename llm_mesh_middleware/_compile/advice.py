"""Warnings about valid but probably unintended manifests; for validation, not for serving.

Nothing here depends on the workload: a rule that hides another does so everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from .. import config as models
from .._core.explaining.redaction import is_credential
from .._core.http.hosts import names_this_machine
from .._core.routing.matching import Exact, Prefix, Present, StringTest
from .._manifest import Manifest, Resource
from .._schema.dialects import DialectConfig
from ..config import LLMProvider, ProviderConfig
from ..exceptions import Problem
from .matches import string_test, subjects

if TYPE_CHECKING:
    from ..config import Document, LLMRoute, RouteMatch
    from ..config import RouteRule as RuleConfig

__all__ = ["advise"]

_Path = tuple[str | int, ...]
_LITERAL_KEYS: tuple[tuple[str, ...], ...] = (
    ("apiKey",),
    ("credentials", "secretAccessKey"),
    ("credentials", "sessionToken"),
    ("vertex", "accessToken"),
)
_WARNING: Literal["warning"] = "warning"


class _Reach(msgspec.Struct, frozen=True):
    """The requests that a match covers: from which workloads, with which properties."""

    conditions: Mapping[tuple[str, str], StringTest]
    labels: Mapping[str, str]
    gateways: frozenset[str]

    def covers(self, other: _Reach) -> bool:
        """Return whether it certainly matches every request that `other` matches."""
        return (
            self.labels.items() <= other.labels.items()
            and self.gateways >= other.gateways
            and all(
                subject in other.conditions and _implies(other.conditions[subject], test)
                for subject, test in self.conditions.items()
            )
        )


def advise(manifest: Manifest) -> tuple[Problem, ...]:
    """Warn of unreachable rules, routes that do not cover all requests, literal keys, and caches
    that everybody shares."""
    return tuple(problem for each in manifest.resources for problem in _advice(each, each.model))


def _advice(resource: Resource, model: Document) -> Iterator[Problem]:
    if model.kind == "LLMRoute":
        yield from _route_advice(resource, model)
    elif isinstance(model, LLMProvider):
        yield from _provider_advice(resource, model)
    elif model.kind == "LLMPolicy" and model.spec.cache and not model.spec.cache.vary:
        message = "is empty: all who may use the mesh share cached responses"
        yield resource.problem(("spec", "cache", "vary"), message, _WARNING)


def _implies(special: StringTest, general: StringTest) -> bool:
    """Return whether every text that passes `special` passes `general`."""
    if isinstance(general, Present) or special == general:
        return True
    if isinstance(special, Exact):
        return general(special.value)
    if isinstance(special, Prefix) and isinstance(general, Prefix):
        return general(special.value)
    return False


def _route_advice(resource: Resource, route: LLMRoute) -> Iterator[Problem]:
    everything = _Reach({}, {}, frozenset(route.spec.gateways or ("mesh",)))
    earlier: list[tuple[str, tuple[_Reach, ...]]] = []
    for index, rule in enumerate(route.spec.rules):
        reaches = _reaches(rule, everything.gateways)
        if reaches is None:
            return  # a pattern is wrong, and reported
        blockers = _blockers(reaches, earlier)
        if blockers:
            yield resource.problem(
                ("spec", "rules", index),
                f"is never reached: everything it matches is matched by {', '.join(blockers)}"
                " before it; move it up or remove it",
                _WARNING,
            )
        earlier.append((rule.name or f"rules[{index}]", reaches))
    if not any(reach.covers(everything) for _, reaches in earlier for reach in reaches):
        yield resource.problem(
            ("spec", "rules"),
            "no rule matches everything, so the other requests get 404 route_not_found; end"
            " with a rule without matches if that is not wanted",
            _WARNING,
        )


def _reaches(rule: RuleConfig, gateways: frozenset[str]) -> tuple[_Reach, ...] | None:
    try:
        return tuple(_reach(match, gateways) for match in rule.matches or (models.RouteMatch(),))
    except ValueError:
        return None


def _reach(match: RouteMatch, gateways: frozenset[str]) -> _Reach:
    tests = {(kind, key): string_test(wanted) for kind, key, _, wanted in subjects(match)}
    own = gateways if match.gateways is None else frozenset(match.gateways or ("mesh",))
    return _Reach(tests, match.source_labels, own)


def _blockers(
    reaches: tuple[_Reach, ...], earlier: list[tuple[str, tuple[_Reach, ...]]]
) -> list[str]:
    """Return the earlier rules that together match everything that it does, or none."""
    names: dict[str, None] = {}
    for reach in reaches:
        taker = next(
            (name for name, others in earlier if any(other.covers(reach) for other in others)), None
        )
        if taker is None:
            return []
        names[taker] = None
    return list(names)


def _provider_advice(resource: Resource, provider: LLMProvider) -> Iterator[Problem]:
    host = provider.spec.host
    if names_this_machine(host):
        message = (
            f"{host!r} is a name of this machine, so a request to llm-mesh serve by that name goes"
            " to this provider, whatever its model; choose another, as in model.internal, and keep"
            " the address in spec.endpoint"
        )
        yield resource.problem(("spec", "host"), message, _WARNING)
    for place, config in _configs(provider):
        for *inner, name in _LITERAL_KEYS:
            key = (*place, *inner, name)
            if resource.has_literal(key):
                message = f"contains a literal key; use ${{NAME}} or {name}From"
                yield resource.problem(key, message, _WARNING)
        for name in config.headers:
            header = (*place, "headers", name)
            if is_credential(name) and resource.has_literal(header):
                message = "seems to contain a literal key; use ${NAME}"
                yield resource.problem(header, message, _WARNING)


def _configs(provider: LLMProvider) -> Iterator[tuple[_Path, DialectConfig]]:
    """Yield the configuration of every dialect with its path."""
    configs, path = provider.spec.configs, ("spec", "configs")
    yield from _dialects(configs.default_config, (*path, "defaultConfig"))
    for rule, specific in configs.route_specific_configs.items():
        yield from _dialects(specific, (*path, "routeSpecificConfigs", rule))


def _dialects(config: ProviderConfig, path: _Path) -> Iterator[tuple[_Path, DialectConfig]]:
    for name, field in type(config).model_fields.items():
        inner = getattr(config, name)
        if inner is not None:
            yield (*path, field.alias or name), inner

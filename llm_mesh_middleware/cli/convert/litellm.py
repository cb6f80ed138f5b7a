"""Manifests from a LiteLLM proxy's `config.yaml`.

    model_list[].model_name          a rule that matches the model
    model_list[].litellm_params      a backend of that rule, and its provider
    fallbacks                        backends of a later priority
    rpm, tpm                         shares of a split, or limits
    cache, max_parallel_requests     policies
    max_budget                       policies

A setting without an equivalent becomes a remark with its place in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ..._core.http.hosts import names_this_machine
from .deployments import Deployment, read_deployment, seconds
from .policies import are_rates_limits, read_budget, read_cache, read_limits, read_rates
from .remarks import remark_on_rest
from .rules import Groups, Rules
from .specs import CONFIGS
from .spelling import document, duration, match, slug

__all__ = ["Conversion", "convert"]


class Conversion(msgspec.Struct, frozen=True):
    """The documents, and the place of each setting that they do not express with a remark."""

    documents: tuple[dict[str, Any], ...]
    remarks: tuple[tuple[str, str], ...]


def convert(config: Mapping[str, Any], *, host: str, environ: Mapping[str, str]) -> Conversion:
    """Convert the content of a `config.yaml`.

    Args:
        config: the file's content.
        host: the virtual host of the route.
        environ: where URLs are looked up for which the file names a variable.
    """
    return _Converter(config, host, environ).run()


class _Converter:
    def __init__(self, config: Mapping[str, Any], host: str, environ: Mapping[str, str]) -> None:
        self._config = config
        self._host = host
        self._environ = environ
        self._remarks: list[tuple[str, str]] = []
        self._providers: dict[str, list[Deployment]] = {}
        # LiteLLM reads most settings of its router in either section.
        self._settings = _section(config, "litellm_settings")
        self._router = self._settings | _section(config, "router_settings")

    def run(self) -> Conversion:
        groups = self._groups()
        rules = Rules(groups, self._router, self._remark).all()
        documents = [self._provider(host, own) for host, own in self._providers.items()]
        if rules:
            documents.append(document("LLMRoute", "litellm", {"host": self._host, "rules": rules}))
            documents += self._policies()
        remark_on_rest(self._config, self._remark)
        return Conversion(tuple(documents), tuple(self._remarks))

    def _remark(self, place: str, text: str) -> None:
        self._remarks.append((place, text))

    def _groups(self) -> Groups:
        """Return the deployments of each model name, with the host of their provider."""
        groups: dict[str, list[tuple[str, Deployment]]] = {}
        entries = self._config.get("model_list")
        if not entries or not isinstance(entries, list):
            self._remark("model_list", "has no models")
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict):
                self._remark(f"model_list[{number}]", "is not a mapping")
                continue
            found = read_deployment(entry, number, self._remark, self._environ)
            if found is None:
                continue
            groups.setdefault(found.name, []).append((self._provider_host(found), found))
            if any(found.rates) and not are_rates_limits(self._router):
                place = f"model_list[{number}].litellm_params.{'rpm' if found.rates[0] else 'tpm'}"
                self._remark(place, "is only the share of a split; limit it by an LLMPolicy")
        return groups

    def _provider_host(self, deployment: Deployment) -> str:
        """Return the host of the provider that serves `deployment`; add the provider if it is new.

        A host is unique among providers, so a second account at the same vendor gets another name,
        and an endpoint at the vendor. So does a server on this machine: clients send its name too,
        to reach the mesh.
        """
        same = (deployment.hostname, deployment.spec)
        for host, (other, *_) in self._providers.items():
            if (other.hostname, other.spec) == same:
                if deployment.is_embedding and not other.is_embedding:
                    continue
                self._providers[host].append(deployment)
                return host
        host, number = deployment.hostname, 1
        if names_this_machine(host):
            host = f"{deployment.label}.internal"
        while host in self._providers:
            number += 1
            host = f"{deployment.label}-{number}.internal"
        self._providers[host] = [deployment]
        return host

    def _provider(self, host: str, members: list[Deployment]) -> dict[str, Any]:
        first = members[0]
        spec: dict[str, Any] = {"host": host, **first.spec}
        if host != first.hostname:
            spec.setdefault("endpoint", f"https://{first.hostname}")
            if spec["endpoint"].startswith("https:"):
                spec["tls"] = {"serverName": first.hostname}
        if first.is_embedding and first.model not in (None, first.name):
            _rename(spec, first)
        if detection := self._detection():
            spec["outlierDetection"] = detection
        if prices := [each.prices for each in members if each.prices]:
            spec["prices"] = prices
        return document("LLMProvider", slug(host), spec)

    def _detection(self) -> dict[str, Any]:
        detection: dict[str, Any] = {}
        if isinstance(self._router.get("allowed_fails"), int):
            detection["consecutiveFailures"] = self._router["allowed_fails"] + 1
        cooldown = seconds(self._router.get("cooldown_time"))
        if cooldown is not None:
            detection["baseEjectionTime"] = duration(cooldown)
        return detection

    def _policies(self) -> list[dict[str, Any]]:
        spec: dict[str, Any] = {}
        if limits := read_limits(_section(self._config, "general_settings")):
            spec["limits"] = limits
        cache = read_cache(self._settings)
        if cache is not None:
            spec["cache"] = cache
            text = "a consumer gets only responses to its own requests; vary: [] lets all share"
            self._remark("litellm_settings.cache", text)
        settings = self._settings
        budget = read_budget("all", settings.get("max_budget"), settings.get("budget_duration"))
        if budget is not None:
            spec["budgets"] = [budget]
        found = [document("LLMPolicy", "litellm", spec)] if spec else []
        return [*found, *self._of_providers(), *self._of_vendors()]

    def _of_providers(self) -> Iterator[dict[str, Any]]:
        """Yield the policy of each provider: the rates and budgets of its deployments."""
        for host, members in self._providers.items():
            spec: dict[str, Any] = {}
            if are_rates_limits(self._router) and (limits := read_rates(members)):
                spec["limits"] = limits
            budgets = [
                budget | ({"when": [{"model": condition}]} if condition else {})
                for each in members
                for condition in [match(each.name)]
                if (budget := read_budget(each.name, *each.budget)) is not None
            ]
            if budgets:
                spec["budgets"] = budgets
            if spec:
                yield _policy(slug(host), [host], spec)

    def _of_vendors(self) -> Iterator[dict[str, Any]]:
        """Yield the budgets of vendors, each for all of its providers together."""
        vendors = self._router.get("provider_budget_config")
        for vendor, limits in (vendors if isinstance(vendors, dict) else {}).items():
            limits = limits if isinstance(limits, dict) else {}
            period = limits.get("time_period") or limits.get("budget_duration")
            amount = limits.get("budget_limit") or limits.get("max_budget")
            label = str(vendor).replace("_", "-")
            budget = read_budget(label, amount, period)
            hosts = [host for host, own in self._providers.items() if own[0].label == label]
            if budget is None or not hosts:
                place = f"provider_budget_config.{vendor}"
                self._remark(place, "has no amount, or no model of this vendor")
            else:
                yield _policy(f"vendor-{label}", hosts, {"budgets": [budget]})


def _policy(name: str, hosts: Iterable[str], spec: dict[str, Any]) -> dict[str, Any]:
    targets = [{"kind": "LLMProvider", "name": slug(host)} for host in hosts]
    return document("LLMPolicy", f"litellm-{name}", {"targetRefs": targets, **spec})


def _rename(spec: dict[str, Any], deployment: Deployment) -> None:
    """Map the client's name of an embedding model, which a backend's `model` does not replace."""
    configs = spec.get("configs", {"defaultConfig": {CONFIGS["openai"]: {}}})
    ((name, given),) = configs["defaultConfig"].items()
    config = {**given}
    if "deployment" not in config:
        config["modelMapping"] = {deployment.name: deployment.model}
    spec["configs"] = {"defaultConfig": {name: config}}


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}

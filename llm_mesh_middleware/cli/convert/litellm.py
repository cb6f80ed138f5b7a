"""Manifests from a LiteLLM proxy's `config.yaml`.

    model_list[].model_name          a rule that matches the model
    model_list[].litellm_params      a backend of that rule, and its provider
    fallbacks                        backends of a later priority
    rpm, tpm                         shares of a split

Whatever has no twin becomes a remark with its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .deployments import Deployment, read_deployment, seconds
from .remarks import remark_on_rest

__all__ = ["Conversion", "convert"]

_VERSION = "istio.alibabacloud.com/v1beta1"
_CODES = (429, 502, 503, 504)
_FALLBACK_CODES = {
    "context_window_fallbacks": ("context_length_exceeded",),
    "content_policy_fallbacks": ("content_filter", "content_policy_violation"),
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """The documents, and a remark for everything that they do not say."""

    documents: tuple[dict[str, Any], ...]
    remarks: tuple[str, ...]


def convert(config: Mapping[str, Any], *, host: str, environ: Mapping[str, str]) -> Conversion:
    """Convert the content of a `config.yaml`.

    Args:
        config: the file's content.
        host: the virtual host of the route.
        environ: where URLs are looked up that the file leaves to a variable.
    """
    return _Converter(config, host, environ).run()


class _Converter:
    def __init__(self, config: Mapping[str, Any], host: str, environ: Mapping[str, str]) -> None:
        self._config = config
        self._host = host
        self._environ = environ
        self._remarks: list[str] = []
        self._providers: list[tuple[str, Deployment]] = []
        # LiteLLM reads most settings of its router in either section.
        self._router = _section(config, "litellm_settings") | _section(config, "router_settings")

    def run(self) -> Conversion:
        groups = self._groups()
        rules = [self._rule(name, groups) for name in sorted(groups, key=_wildcards_last)]
        documents = [self._provider(host, each) for host, each in self._providers]
        if rules:
            spec = {"host": self._host, "rules": rules}
            documents.append(_document("LLMRoute", "litellm", spec))
        remark_on_rest(self._config, self._remark)
        return Conversion(tuple(documents), tuple(self._remarks))

    def _remark(self, place: str, text: str) -> None:
        self._remarks.append(f"{place}: {text}")

    def _groups(self) -> dict[str, list[tuple[str, Deployment]]]:
        """Return the deployments of each model name, with the host of their provider."""
        groups: dict[str, list[tuple[str, Deployment]]] = {}
        entries = self._config.get("model_list")
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            place = f"model_list[{index}]"
            if not isinstance(entry, dict):
                self._remark(place, "is not a mapping")
                continue
            found = read_deployment(entry, place, self._remark, self._environ)
            if found is not None:
                groups.setdefault(found.name, []).append((self._provider_host(found), found))
        return groups

    def _provider_host(self, deployment: Deployment) -> str:
        """Return the host of the provider that serves `deployment`; add it if it is a new one.

        A host is unique among providers: a second account at the same vendor is given a name of its
        own, and an endpoint that leads to the vendor.
        """
        same = (deployment.hostname, deployment.spec)
        for host, other in self._providers:
            if (other.hostname, other.spec) == same:
                if deployment.is_embedding and not other.is_embedding:
                    continue
                return host
        taken = {host for host, _ in self._providers}
        host, number = deployment.hostname, 1
        while host in taken:
            number += 1
            host = f"{deployment.label}-{number}.internal"
        self._providers.append((host, deployment))
        return host

    def _provider(self, host: str, deployment: Deployment) -> dict[str, Any]:
        spec: dict[str, Any] = {"host": host, **deployment.spec}
        if host != deployment.hostname:
            spec.setdefault("endpoint", f"https://{deployment.hostname}")
            if spec["endpoint"].startswith("https:"):
                spec["tls"] = {"serverName": deployment.hostname}
        if deployment.is_embedding and deployment.model not in (None, deployment.name):
            config = _openai_config(spec)
            config["modelMapping"] = {deployment.name: deployment.model}
        detection = {}
        if isinstance(self._router.get("allowed_fails"), int):
            detection["consecutiveFailures"] = self._router["allowed_fails"] + 1
        cooldown = seconds(self._router.get("cooldown_time"))
        if cooldown is not None:
            detection["baseEjectionTime"] = _duration(cooldown)
        if detection:
            spec["outlierDetection"] = detection
        return _document("LLMProvider", _slug(host), spec)

    def _rule(
        self, name: str, groups: Mapping[str, Sequence[tuple[str, Deployment]]]
    ) -> dict[str, Any]:
        own = groups[name]
        rule: dict[str, Any] = {"name": _slug(name)}
        matches = [_match(each) for each in (name, *self._aliases(name))]
        if None not in matches:
            rule["matches"] = [{"model": match} for match in matches]
        backends = self._tier(own, 0)
        codes: list[str] = []
        for key, others in self._fallbacks(name):
            codes += _FALLBACK_CODES.get(key, ())
            if key in _FALLBACK_CODES:
                text = f"{name}: the models it names are used after any other failure too"
                self._remark(key, text)
            for other in others:
                if other not in groups:
                    self._remark(key, f"{name}: {other!r} is not a model of this file")
                    continue
                backends += self._tier(
                    groups[other], 1 + max(each["priority"] for each in backends)
                )
        rule["backendRefs"] = [_tidy(each) for each in backends]
        retry = self._retry([each for _, each in own], codes)
        if retry:
            rule["retry"] = retry
        timeouts = self._timeouts([each for _, each in own])
        if timeouts:
            rule["timeouts"] = timeouts
        return rule

    def _tier(
        self, members: Iterable[tuple[str, Deployment]], priority: int
    ) -> list[dict[str, Any]]:
        """Return the backends of one model; LiteLLM's `order` makes tiers of its own."""
        members = list(members)
        orders = sorted({each.order for _, each in members})
        refs = []
        for host, each in members:
            tier = [other for _, other in members if other.order == each.order]
            ref: dict[str, Any] = {"providerHost": host}
            if len(tier) > 1 and all(other.weight is not None for other in tier):
                ref["weight"] = each.weight
            if each.model is not None and not each.is_embedding:
                ref["model"] = each.model
            if host != each.hostname:
                ref["hostRewrite"] = each.hostname
            refs.append(ref | {"priority": priority + orders.index(each.order)})
        return refs

    def _aliases(self, name: str) -> list[str]:
        aliases = self._router.get("model_group_alias")
        found = []
        for alias, target in (aliases if isinstance(aliases, dict) else {}).items():
            target = target.get("model") if isinstance(target, dict) else target
            if target == name:
                found.append(str(alias))
        return found

    def _fallbacks(self, name: str) -> Iterable[tuple[str, list[str]]]:
        """Yield each list of models that `name` falls back to."""
        has_own = False
        for key in ("fallbacks", *_FALLBACK_CODES):
            for entry in self._router.get(key) or ():
                others = entry.get(name) if isinstance(entry, dict) else None
                if isinstance(others, list) and others:
                    names = [each for each in others if isinstance(each, str)]
                    if len(names) < len(others):
                        self._remark(key, f"{name}: entries with parameters were left out")
                    has_own = True
                    yield key, names
        default = self._router.get("default_fallbacks")
        if not has_own and isinstance(default, list):
            yield "default_fallbacks", [str(each) for each in default if each != name]

    def _retry(self, members: Sequence[Deployment], codes: Sequence[str]) -> dict[str, Any]:
        retry: dict[str, Any] = {}
        own = [each.retries for each in members if each.retries is not None]
        attempts = own[0] if own else self._router.get("num_retries")
        if isinstance(attempts, int):
            if attempts > 10:
                self._remark("num_retries", f"{attempts} attempts were reduced to 10")
            retry["attempts"] = min(attempts, 10)
        if codes:
            retry["codes"] = [*_CODES, *dict.fromkeys(codes)]
        return retry

    def _timeouts(self, members: Sequence[Deployment]) -> dict[str, Any]:
        """Return the longest of the members' timeouts: a rule has one for all of its backends."""
        request = [each.request_s for each in members if each.request_s is not None]
        stream = [each.stream_s for each in members if each.stream_s is not None]
        general = seconds(self._router.get("timeout") or self._router.get("request_timeout"))
        timeouts = {}
        if request or general is not None:
            timeouts["request"] = _duration(max(request) if request else general or 0)
        if stream:
            timeouts["firstByte"] = _duration(max(stream))
        return timeouts


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _openai_config(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration within a provider's `spec`, which is made if there is none."""
    configs = {"defaultConfig": {"openAIConfig": {}}} | spec.get("configs", {})
    config = dict(configs["defaultConfig"]["openAIConfig"])
    spec["configs"] = {"defaultConfig": {"openAIConfig": config}}
    return config


def _match(name: str) -> dict[str, str] | None:
    """Return the condition on the model; None for any model."""
    if name == "*":
        return None
    if name.endswith("*"):
        return {"prefix": name.removesuffix("*")}
    return {"exact": name}


def _wildcards_last(name: str) -> tuple[bool, int]:
    """Sort exact names first, then the longest prefix: the first rule that matches is taken."""
    return name.endswith("*"), -len(name) if name.endswith("*") else 0


def _tidy(ref: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ref.items() if (key, value) != ("priority", 0)}


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9.]+", "-", name.lower().replace("*", "any")).strip("-.")
    return slug or "any"


def _duration(value: float) -> str:
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"

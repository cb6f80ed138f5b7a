"""The rules of the route: one for each model name of a LiteLLM configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .deployments import Deployment, seconds
from .spelling import duration, match, slug

__all__ = ["Groups", "Rules", "STRATEGIES"]

Member = tuple[str, Deployment]  # the host of its provider, and the deployment
Groups = Mapping[str, Sequence[Member]]

# LiteLLM's routing strategies, and the policies of `balance`.
STRATEGIES: Mapping[str, str] = {
    "cost-based-routing": "cost",
    "latency-based-routing": "latency",
    "least-busy": "leastBusy",
    "usage-based-routing": "headroom",
    "usage-based-routing-v2": "headroom",
}
_CODES = (429, 502, 503, 504, 529)  # the mesh's default
_FALLBACK_CODES = {
    "context_window_fallbacks": ("context_length_exceeded",),
    "content_policy_fallbacks": ("content_filter", "content_policy_violation"),
}


class Rules:
    """Makes the rules of `groups`; `remark` gets the settings that they cannot express."""

    def __init__(
        self, groups: Groups, router: Mapping[str, Any], remark: Callable[[str, str], None]
    ) -> None:
        self._groups = groups
        self._router = router
        self._remark = remark

    def all(self) -> list[dict[str, Any]]:
        """Return the rules in the order in which they must be tried."""
        return [self._rule(name) for name in sorted(self._groups, key=_wildcards_last)]

    def _rule(self, name: str) -> dict[str, Any]:
        own = self._groups[name]
        rule: dict[str, Any] = {"name": slug(name)}
        matches = [match(each) for each in (name, *self._aliases(name))]
        if None not in matches:
            rule["matches"] = [{"model": each} for each in matches]
        backends, codes = self._backends(name)
        rule["backendRefs"] = [_tidy(each) for each in backends]
        strategy = STRATEGIES.get(str(self._router.get("routing_strategy")))
        if strategy is not None and len(own) > 1:
            rule["balance"] = {"policy": strategy}
        members = [each for _, each in own]
        if retry := self._retry(members, codes):
            rule["retry"] = retry
        if timeouts := self._timeouts(members):
            rule["timeouts"] = timeouts
        return rule

    def _backends(self, name: str) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the backends of a model and of its fallbacks, and the codes for a fallback."""
        backends = self._tier(self._groups[name], 0)
        codes: list[str] = []
        for key, others in self._fallbacks(name):
            codes += _FALLBACK_CODES.get(key, ())
            if key in _FALLBACK_CODES:
                text = f"{name}: the models it names are used after any other failure too"
                self._remark(key, text)
            for other in others:
                if other not in self._groups:
                    self._remark(key, f"{name}: {other!r} is not a model of this file")
                    continue
                last = max(each["priority"] for each in backends)
                backends += self._tier(self._groups[other], 1 + last)
        return backends, codes

    def _tier(self, members: Sequence[Member], priority: int) -> list[dict[str, Any]]:
        """Return the backends of one model, with a priority for each `order` of LiteLLM."""
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
                own = each.hostname
                ref["hostRewrite"] = f"[{own}]" if ":" in own else own  # RFC 3986 3.2.2
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
            timeouts["request"] = duration(max(request) if request else general or 0)
        if stream:
            timeouts["firstByte"] = duration(max(stream))
        return timeouts


def _wildcards_last(name: str) -> tuple[bool, int]:
    """Sort exact names first, then the longest prefix: the first rule that matches is selected."""
    return name.endswith("*"), -len(name) if name.endswith("*") else 0


def _tidy(ref: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ref.items() if (key, value) != ("priority", 0)}

"""Settings of LiteLLM that manifests lack: a table of advice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .policies import POLICY_SETTINGS
from .rules import STRATEGIES

__all__ = ["remark_on_rest"]

_CONVERTED = frozenset(
    ("allowed_fails", "content_policy_fallbacks", "context_window_fallbacks", "cooldown_time",
     "default_fallbacks", "fallbacks", "model_group_alias", "num_retries",
     "optional_pre_call_checks", "request_timeout", "timeout", *POLICY_SETTINGS)
)  # fmt: skip
_IN_CACHE_PARAMS = frozenset(("mode", "supported_call_types", "ttl"))

_TELEMETRY = "use OpenTelemetry: llm_mesh_middleware.setup_telemetry, or OTEL_* with llm-mesh serve"
_STORE = "set LLM_MESH_STORE to a redis:// URL, where limits and the cache are shared"
_ADVICE: Mapping[str, str] = {
    "callbacks": _TELEMETRY,
    "drop_params": "fields that a provider's dialect cannot say are dropped and named in"
    " x-llm-mesh-dropped",
    "failure_callback": _TELEMETRY,
    "json_logs": "use llm-mesh serve --log-format json",
    "master_key": "was not copied; set LLM_MESH_CLIENT_KEYS and LLM_MESH_ACCESS=keys",
    "redis_host": _STORE,
    "redis_password": "was not copied; " + _STORE,
    "redis_port": _STORE,
    "redis_url": "was not copied; " + _STORE,
    "routing_strategy": "see balance of a rule; without it, shares are random by weight",
    "success_callback": _TELEMETRY,
}
_SAME_AS_DEFAULT = {("routing_strategy", name) for name in ("simple-shuffle", *STRATEGIES)}
_TOP = {
    "environment_variables": "set them in the environment of the mesh",
    "guardrails": "add an LLMPolicy with spec.guards",
    "mcp_servers": "has no equivalent",
    "include": "convert the included files too",
}
_SETTINGS = ("litellm_settings", "router_settings", "general_settings")


def remark_on_rest(config: Mapping[str, Any], remark: Callable[[str, str], None]) -> None:
    """Remark on each setting that no document expresses, without its value."""
    for section in _SETTINGS:
        settings = config.get(section)
        for key, value in (settings if isinstance(settings, dict) else {}).items():
            is_default = isinstance(value, (str, bool)) and (key, value) in _SAME_AS_DEFAULT
            if key not in _CONVERTED and not is_default:
                remark(f"{section}.{key}", _ADVICE.get(str(key), "has no equivalent"))
    params = config.get("litellm_settings")
    params = params.get("cache_params") if isinstance(params, dict) else None
    for key in sorted(map(str, params if isinstance(params, dict) else ())):
        if key not in _IN_CACHE_PARAMS:
            remark(f"litellm_settings.cache_params.{key}", "was not copied; " + _STORE)
    for key in config:
        if key not in ("model_list", *_SETTINGS):
            remark(str(key), _TOP.get(str(key), "has no equivalent"))

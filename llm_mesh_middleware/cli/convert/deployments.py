"""One entry of LiteLLM's `model_list`, as the provider and the backend that it becomes.

model_list[]  ->  Deployment  --same settings-->  one LLMProvider
                              --same model_name-->  backends of one rule
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .vendors import UNSUPPORTED, VENDORS, split_model

__all__ = ["Deployment", "Note", "read_deployment", "seconds"]

Note = Callable[[str, str], None]
Settings = Mapping[str, Any]

_ENVIRONMENT = "os.environ/"
_NO_KEY = ("", "none", "null", "empty", "dummy", "fake-key", "not-needed")
_BODY = frozenset(
    ("frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens", "n",
     "parallel_tool_calls", "presence_penalty", "reasoning_effort", "response_format", "seed",
     "service_tier", "stop", "temperature", "tool_choice", "tools", "top_k", "top_p", "user")
)  # fmt: skip
_READ = frozenset(
    ("api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "extra_headers",
     "headers", "max_parallel_requests", "max_retries", "model", "order", "organization", "rpm",
     "stream_timeout", "timeout", "tpm", "weight")
)  # fmt: skip
_AZURE_VERSION = "2024-10-21"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a request for `name` can go.

    `spec` is the LLMProvider's without its host; `hostname` is whose name it has towards the
    network. Deployments that are equal in both share a provider.
    """

    name: str
    model: str | None
    label: str
    hostname: str
    spec: dict[str, Any]
    weight: int | None = None
    order: int = 0
    request_s: float | None = None
    stream_s: float | None = None
    retries: int | None = None
    is_embedding: bool = False


def read_deployment(
    entry: Settings, place: str, note: Note, environ: Mapping[str, str]
) -> Deployment | None:
    """Return the deployment, or None if the mesh cannot serve it; `note` is told why."""
    name, params = entry.get("model_name"), entry.get("litellm_params")
    if not isinstance(name, str) or not isinstance(params, dict):
        note(place, "has no model_name or no litellm_params")
        return None
    place = f"{place}.litellm_params"
    vendor, model = split_model(str(params.get("model", name)))
    vendor = params.get("custom_llm_provider") or vendor
    base = params.get("api_base") or params.get("base_url")
    if vendor in UNSUPPORTED or vendor not in VENDORS:
        note(f"{place}.model", f"{vendor} has no OpenAI-compatible API that the mesh knows of")
        return None
    if isinstance(base, str) and base.startswith(_ENVIRONMENT):
        variable = base.removeprefix(_ENVIRONMENT)
        base = environ.get(variable)
        if not base:
            note(
                f"{place}.api_base", f"set {variable} and convert again: a manifest names the host"
            )
            return None
    base = base or VENDORS[vendor].base_url
    if not isinstance(base, str) or not _hostname(base):
        note(f"{place}.api_base", f"{vendor} needs a URL here")
        return None
    if vendor in ("ollama", "ollama_chat") and not base.rstrip("/").endswith("/v1"):
        base = base.rstrip("/") + "/v1"
    wildcard = _check_wildcard(name, model, place, note)
    if wildcard is False:
        return None
    for key in sorted(params.keys() - _READ - _BODY):
        note(f"{place}.{key}", "has no twin and was left out")
    for key in ("rpm", "tpm"):
        if key in params:
            note(f"{place}.{key}", "is only the share of a split; limit it by an LLMPolicy")
    info = entry.get("model_info")
    return Deployment(
        name=name,
        model=None if wildcard else model,
        label=vendor.replace("_", "-"),
        hostname=_hostname(base),
        spec=_spec(vendor, model, base, params, place, note),
        weight=_weight(params),
        order=params["order"] if isinstance(params.get("order"), int) else 0,
        request_s=seconds(params.get("timeout")),
        stream_s=seconds(params.get("stream_timeout")),
        retries=params["max_retries"] if isinstance(params.get("max_retries"), int) else None,
        is_embedding=isinstance(info, dict) and info.get("mode") == "embedding",
    )


def seconds(value: object) -> float | None:
    """Return a number of seconds that is one."""
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _check_wildcard(name: str, model: str, place: str, note: Note) -> bool | None:
    """Whether requests name the model themselves; False if the mesh cannot pass on that name."""
    if "*" not in name and "*" not in model:
        return None
    if name in ("*", model) and name.find("*") == len(name) - 1:
        return True
    note(f"{place}.model", f"{name!r} would have to be renamed to {model!r} for each request")
    return False


def _spec(
    vendor: str, model: str, base: str, params: Settings, place: str, note: Note
) -> dict[str, Any]:
    config: dict[str, Any] = {}
    headers = dict(params.get("extra_headers") or {}) | dict(params.get("headers") or {})
    headers = {str(key).lower(): _variable(str(value)) or "" for key, value in headers.items()}
    if headers.pop("authorization", None) is not None:
        note(f"{place}.extra_headers", "authorization is set by api_key and was left out")
    if params.get("organization"):
        headers["openai-organization"] = _variable(str(params["organization"])) or ""
    key = _key(params.get("api_key"), vendor, base, place, note)
    path = urlsplit(base).path.rstrip("/")
    if vendor == "azure":
        version = params.get("api_version") or _AZURE_VERSION
        path = f"{path}/openai/deployments/{model}/chat/completions?api-version={version}"
        if key is not None:
            headers["api-key"] = f"${{{key}}}"
    else:
        path = f"{path}/chat/completions"
        if key is not None:
            config["apiKeyFrom"] = {"env": key}
    defaults = {key: value for key, value in params.items() if key in _BODY}
    if defaults:
        config["defaults"] = defaults
    if headers:
        config["headers"] = headers
    spec: dict[str, Any] = {"path": path}
    parts = urlsplit(base)
    if parts.scheme != "https" or parts.port is not None:
        spec["endpoint"] = f"{parts.scheme}://{parts.netloc}"
    if isinstance(params.get("max_parallel_requests"), int):
        spec["maxConcurrency"] = params["max_parallel_requests"]
    if config:
        spec["configs"] = {"defaultConfig": {"openAIConfig": config}}
    return spec


def _key(given: object, vendor: str, base: str, place: str, note: Note) -> str | None:
    """Return the variable that holds the key, None if there is none; a key is never copied."""
    text = given if isinstance(given, str) else ""
    if text.startswith(_ENVIRONMENT):
        return text.removeprefix(_ENVIRONMENT)
    if text.lower() in _NO_KEY:
        is_public = base == VENDORS[vendor].base_url or vendor == "azure"
        return VENDORS[vendor].variable if is_public and not text else None
    variable = VENDORS[vendor].variable or f"{re.sub('[^A-Z0-9]', '_', vendor.upper())}_API_KEY"
    index = re.search(r"\[(\d+)\]", place)
    variable = f"{variable}_{index[1]}" if index else variable
    note(f"{place}.api_key", f"is a literal key and was not copied; set {variable}")
    return variable


def _variable(value: object) -> str | None:
    """Return a text with LiteLLM's `os.environ/NAME` as the mesh has it."""
    if not isinstance(value, str) or not value:
        return None
    if value.startswith(_ENVIRONMENT):
        return f"${{{value.removeprefix(_ENVIRONMENT)}}}"
    return value


def _hostname(base: str) -> str:
    return (urlsplit(base).hostname or "").lower()


def _weight(params: Settings) -> int | None:
    """Return the share as LiteLLM's simple shuffle has it: weight, else rpm, else tpm."""
    for key in ("weight", "rpm", "tpm"):
        if isinstance(params.get(key), int):
            return int(params[key])
    return None

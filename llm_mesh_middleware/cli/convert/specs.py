"""The `LLMProvider.spec` of a deployment, by the form of its vendor's API.

openai              openAIConfig, with the path of the base URL
anthropic, gemini   their own configuration, with a path if the base URL has one
azure               azureOpenAIConfig: the model is a deployment
bedrock, vertex     the region or the project, and credentials instead of a key
ollama              ollamaConfig, as LiteLLM calls its own API too: sampling is among its options
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from .variables import Entry, placeholder
from .vendors import VENDORS, Form

__all__ = ["CONFIGS", "hostname", "read_spec", "settings_of"]

# Members of a request's body, in OpenAI's dialect.
_BODY = frozenset(
    ("frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens", "n",
     "parallel_tool_calls", "presence_penalty", "reasoning_effort", "response_format", "seed",
     "service_tier", "stop", "temperature", "tool_choice", "tools", "top_k", "top_p", "user")
)  # fmt: skip
_SHARED = ("api_base", "base_url", "extra_headers", "headers", "max_parallel_requests")
# Settings that Ollama's API has among the options of a model, by its own names.
_OPTIONS: Mapping[str, str] = {
    name: name
    for name in (
        *("frequency_penalty", "min_p", "mirostat", "mirostat_eta", "mirostat_tau", "num_batch"),
        *("num_ctx", "num_gpu", "num_keep", "num_predict", "num_thread", "presence_penalty"),
        *("repeat_last_n", "repeat_penalty", "seed", "stop", "temperature", "tfs_z", "top_k"),
        *("top_p", "typical_p"),
    )
} | {"max_completion_tokens": "num_predict", "max_tokens": "num_predict"}
_BESIDE_OPTIONS = frozenset(("format", "keep_alive", "think"))
_READ: Mapping[Form, frozenset[str]] = {
    "openai": frozenset((*_SHARED, "api_key", "organization")),
    "anthropic": frozenset((*_SHARED, "api_key")),
    "azure": frozenset((*_SHARED, "api_key", "api_version")),
    "gemini": frozenset((*_SHARED, "api_key")),
    "bedrock": frozenset(
        (*_SHARED, "aws_access_key_id", "aws_bedrock_runtime_endpoint", "aws_region_name",
         "aws_secret_access_key", "aws_session_token")
    ),
    "vertex": frozenset((*_SHARED, "vertex_credentials", "vertex_location", "vertex_project")),
    "ollama": frozenset((*_SHARED, "api_key")),
}  # fmt: skip
CONFIGS: Mapping[Form, str] = {
    "openai": "openAIConfig",
    "anthropic": "anthropicConfig",
    "azure": "azureOpenAIConfig",
    "gemini": "geminiConfig",
    "bedrock": "bedrockConfig",
    "ollama": "ollamaConfig",
}
_AZURE_VERSION = "2024-10-21"
_REGION = "us-west-2"  # LiteLLM's own default

Spec = dict[str, Any]


def settings_of(form: Form) -> frozenset[str]:
    """Return the settings that are read of a deployment."""
    return _READ[form] | _members(form) | (_OPTIONS.keys() if form == "ollama" else frozenset())


def _members(form: Form) -> frozenset[str]:
    """Return the settings that are members of a request's body, and become `defaults`."""
    return _BESIDE_OPTIONS if form == "ollama" else _BODY


def read_spec(form: Form, vendor: str, model: str, entry: Entry) -> tuple[str, Spec] | None:
    """Return the host and the rest of the spec of a deployment's provider, or None."""
    found = _FORMS[form](vendor, model, entry)
    if found is None:
        return None
    host, spec, name, config = found
    defaults = {key: value for key, value in entry.params.items() if key in _members(form)}
    if defaults:
        config["defaults"] = defaults
    if headers := _headers(entry):
        config["headers"] = config.get("headers", {}) | headers
    if isinstance(entry.params.get("max_parallel_requests"), int):
        spec["maxConcurrency"] = entry.params["max_parallel_requests"]
    if config or form == "ollama":  # without any configuration it would be OpenAI's
        spec["configs"] = {"defaultConfig": {name: config}}
    return host, spec


def hostname(base: str) -> str:
    """Return the host that a URL names; empty if it names none."""
    return (urlsplit(base).hostname or "").lower()


# host, spec without the configuration, the configuration's field, the configuration
_Found = tuple[str, Spec, str, dict[str, Any]] | None


def _openai(vendor: str, model: str, entry: Entry) -> _Found:
    base = _base(vendor, entry)
    if base is None:
        return None
    if VENDORS[vendor].form == "ollama" and not base.rstrip("/").endswith("/v1"):
        base = base.rstrip("/") + "/v1"
    config = _with_key(vendor, base, entry)
    if organization := entry.params.get("organization"):
        config["headers"] = {"openai-organization": placeholder(organization)}
    spec = {"path": f"{_path(base)}/chat/completions", **_endpoint(base)}
    return hostname(base), spec, CONFIGS["openai"], config


def _below(base: str, api: str) -> Spec:
    """Return the spec of a server whose API may have a path in front of it."""
    path = _path(base).removesuffix(api).removesuffix("/v1")
    return ({"path": f"{path}{api}"} if path else {}) | _endpoint(base)


def _anthropic(vendor: str, model: str, entry: Entry) -> _Found:
    base = _base(vendor, entry)
    if base is None:
        return None
    spec, config = _below(base, "/v1/messages"), _with_key(vendor, base, entry)
    return hostname(base), spec, CONFIGS["anthropic"], config


def _gemini(vendor: str, model: str, entry: Entry) -> _Found:
    base = _base(vendor, entry)
    if base is None:
        return None
    path = _path(base)
    spec = {"path": f"{path}/models"} if path else {}
    config = _with_key(vendor, base, entry)
    return hostname(base), spec | _endpoint(base), CONFIGS["gemini"], config


def _azure(vendor: str, model: str, entry: Entry) -> _Found:
    base = _base(vendor, entry)
    if base is None:
        return None
    version = entry.text("api_version") or _AZURE_VERSION
    config: dict[str, Any] = {} if "*" in model else {"deployment": model, "apiVersion": version}
    key = entry.key("api_key", VENDORS[vendor].variable)
    if key is not None:
        config["apiKeyFrom"] = {"env": key}
    return hostname(base), _endpoint(base), CONFIGS["azure"], config


def _bedrock(vendor: str, model: str, entry: Entry) -> _Found:
    region = entry.text("aws_region_name") or _REGION
    config: dict[str, Any] = {"region": region}
    if model.startswith("invoke/"):
        config["api"] = "invoke"
    names = (
        ("aws_access_key_id", "accessKeyIdFrom"),
        ("aws_secret_access_key", "secretAccessKeyFrom"),
        ("aws_session_token", "sessionTokenFrom"),
    )
    found = {
        field: {"env": variable}
        for name, field in names
        if (variable := entry.key(name, None)) is not None
    }
    if len(found) >= 2:
        config["credentials"] = found
    else:
        config["credentialsFrom"] = {"default": True}  # as LiteLLM, which asks boto3
    host = f"bedrock-runtime.{region}.amazonaws.com"
    endpoint = entry.text("aws_bedrock_runtime_endpoint") or f"https://{host}"
    return host, _endpoint(endpoint, host), CONFIGS["bedrock"], config


def _vertex(vendor: str, model: str, entry: Entry) -> _Found:
    form: Form = "anthropic" if model.startswith("claude") else "gemini"
    if form == "gemini" and not model.startswith("gemini"):
        entry.remark("model", f"{model!r} is neither a Gemini nor a Claude model")
        return None
    project = entry.params.get("vertex_project")
    if not isinstance(project, str):
        entry.remark("vertex_project", "is missing: a manifest states the project")
        return None
    location = entry.text("vertex_location") or "us-central1"
    file = entry.text("vertex_credentials")
    if file is not None and file.lstrip().startswith("{"):
        entry.remark("vertex_credentials", "was not copied; save it as a file and name that")
        file = None
    vertex = {
        "project": placeholder(project),
        "location": location,
        "credentialsFrom": {"file": file} if file else {"default": True},
    }
    prefix = "" if location == "global" else f"{location}-"
    return f"{prefix}aiplatform.googleapis.com", {}, CONFIGS[form], {"vertex": vertex}


def _ollama(vendor: str, model: str, entry: Entry) -> _Found:
    base = _base(vendor, entry)
    if base is None:
        return None
    config = _with_key(vendor, base, entry)
    options = {_OPTIONS[key]: value for key, value in entry.params.items() if key in _OPTIONS}
    if options:
        config["options"] = options
    return hostname(base), _below(base, "/api/chat"), CONFIGS["ollama"], config


_FORMS: Mapping[Form, Callable[[str, str, Entry], _Found]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "azure": _azure,
    "bedrock": _bedrock,
    "vertex": _vertex,
    "ollama": _ollama,
}


def _base(vendor: str, entry: Entry) -> str | None:
    """Return the base URL to call, or None, with a remark, if neither file nor variable has it."""
    name = "api_base" if entry.params.get("api_base") else "base_url"
    if entry.params.get(name):
        base = entry.text(name)
        if base is None:
            return None
    else:
        base = VENDORS[vendor].base_url
    if base is None or not hostname(base):
        entry.remark("api_base", f"{vendor} needs a URL here")
        return None
    return base


def _path(base: str) -> str:
    return urlsplit(base).path.rstrip("/")


def _endpoint(base: str, host: str | None = None) -> Spec:
    """Return the endpoint, if it is not HTTPS on the usual port of the host."""
    parts = urlsplit(base)
    if parts.scheme == "https" and parts.port is None and host in (None, hostname(base)):
        return {}
    return {"endpoint": f"{parts.scheme}://{parts.netloc}"}


def _with_key(vendor: str, base: str, entry: Entry) -> dict[str, Any]:
    is_public = base == VENDORS[vendor].base_url
    key = entry.key("api_key", VENDORS[vendor].variable, is_public=is_public)
    return {} if key is None else {"apiKeyFrom": {"env": key}}


def _headers(entry: Entry) -> dict[str, str]:
    given = {**(entry.params.get("extra_headers") or {}), **(entry.params.get("headers") or {})}
    headers = {str(key).lower(): placeholder(value) for key, value in given.items()}
    if headers.pop("authorization", None) is not None:
        entry.remark("extra_headers", "authorization is set by api_key and was left out")
    return headers

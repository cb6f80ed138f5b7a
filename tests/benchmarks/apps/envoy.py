"""A bootstrap of Envoy that does as little as it can: route, set the key, log three token fields.

Its native filter reads model and counts out of the JSON; to change the model in a body it would
need a script. `llm-mesh export envoy` makes one that does all that the mesh does.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.wire import KEY, LLM_HOST, PATH, PROVIDER_HOST, Origin

__all__ = ["bootstrap"]

_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_NAMESPACE = "llm"
_FIELDS = {
    "request_model": ("request_rules", ("model",)),
    "request_prompt_tokens": ("response_rules", ("usage", "prompt_tokens")),
    "request_completion_tokens": ("response_rules", ("usage", "completion_tokens")),
}
_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
_LOG = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def bootstrap(origin: Origin, port: int) -> dict[str, Any]:
    """Return the configuration of an Envoy on `port`."""
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "mesh",
        "generate_request_id": False,
        "stream_idle_timeout": "600s",
        "access_log": [{"name": "log", "typed_config": _access_log()}],
        "http_filters": [
            {"name": "tokens", "typed_config": _tokens()},
            {"name": "router", "typed_config": {"@type": f"{_HTTP}.router.v3.Router"}},
        ],
        "route_config": {"virtual_hosts": [_virtual_host()]},
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "mesh", "address": _address("127.0.0.1", port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(origin)]}}


def _access_log() -> dict[str, Any]:
    fields = {name: f"%DYNAMIC_METADATA({_NAMESPACE}:{name})%" for name in _FIELDS}
    line = {
        "start_time": "%START_TIME%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "response_code": "%RESPONSE_CODE%",
        "duration": "%DURATION%",
        "upstream_cluster": "%UPSTREAM_CLUSTER%",
        **fields,
    }
    return {"@type": _LOG, "log_format": {"json_format": line}}


def _tokens() -> dict[str, Any]:
    config: dict[str, Any] = {"@type": f"{_HTTP}.json_to_metadata.v3.JsonToMetadata"}
    for name, (side, keys) in _FIELDS.items():
        rule = {
            "selectors": [{"key": key} for key in keys],
            "on_present": {"metadata_namespace": _NAMESPACE, "key": name},
        }
        config.setdefault(side, {"rules": []})["rules"].append(rule)
    return config


def _virtual_host() -> dict[str, Any]:
    key = {"key": "authorization", "value": f"Bearer {KEY}"}
    return {
        "name": "llm",
        "domains": [LLM_HOST],
        "routes": [
            {
                "match": {"path": "/v1/chat/completions"},
                "route": {
                    "cluster": "provider",
                    "prefix_rewrite": PATH,
                    "host_rewrite_literal": PROVIDER_HOST,
                    "timeout": "600s",
                },
                "request_headers_to_add": [
                    {"header": key, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
            }
        ],
    }


def _cluster(origin: Origin) -> dict[str, Any]:
    url = urlsplit(origin.url)
    assert url.hostname is not None
    assert url.port is not None
    endpoint = {"endpoint": {"address": _address(url.hostname, url.port)}}
    most = {"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}
    cluster: dict[str, Any] = {
        "name": "provider",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {
            "cluster_name": "provider",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
    if origin.ca_file is not None:
        trust = {"validation_context": {"trusted_ca": {"filename": origin.ca_file}}}
        context = {"@type": _TLS, "sni": PROVIDER_HOST, "common_tls_context": trust}
        cluster["transport_socket"] = {"name": "tls", "typed_config": context}
    return cluster


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}

"""The bootstrap around routes and clusters: a listener, its filters and its access log."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec

from ..._compile import Compiled
from ..._manifest import Manifest
from ...settings import MeshSettings
from .clusters import cluster, cluster_name
from .gaps import credential_gaps, field_gaps
from .routes import virtual_hosts
from .variables import resolve

__all__ = ["Exported", "export"]

_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LUA = "envoy.extensions.filters.http.lua.v3.Lua"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_LOG = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_TOKENS = ("request_model", "request_prompt_tokens", "request_completion_tokens")
_LOGGED = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority_for": "%DYNAMIC_METADATA(llm_mesh:authority)%",
    "route_name": "%ROUTE_NAME%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "duration": "%DURATION%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
    **{name: f"%DYNAMIC_METADATA(llm_mesh:{name})%" for name in _TOKENS},
}


class Exported(msgspec.Struct, frozen=True):
    """A bootstrap, the fields that it lacks, and notes for its operator."""

    bootstrap: dict[str, Any]
    gaps: tuple[str, ...]
    remarks: tuple[str, ...]


def export(
    manifest: Manifest,
    compiled: Compiled,
    settings: MeshSettings,
    *,
    environ: Mapping[str, str],
    address: str,
    port: int,
) -> Exported:
    """Return the bootstrap for manifests that were compiled with a `MarkedEnvironment`.

    Args:
        manifest: the documents.
        compiled: the documents resolved; there must be a table.
        settings: the timeouts, the trust store and the longest request.
        environ: values of variables that Envoy cannot look up itself.
        address: where Envoy listens.
        port: where Envoy listens.

    Raises:
        KeyError: a variable that Envoy cannot look up itself is not set.
    """
    table = compiled.table
    if table is None:
        raise ValueError("the manifests have errors")
    gaps = [*field_gaps(manifest), *credential_gaps(table)]
    remarks: list[str] = []
    hosts = virtual_hosts(table, gap=gaps.append, remark=remarks.append)
    timeouts: dict[str, float] = {}
    clusters: dict[str, Any] = {}
    for rule in (rule for host in table.hosts for rule in host.rules):
        for backend in rule.backends.tiers[0]:
            name = cluster_name(backend.upstream)
            timeouts[name] = max(rule.timeouts.connect, timeouts.get(name, 0.0))
            clusters[name] = cluster(
                backend.upstream, connect_timeout_s=timeouts[name], ca_file=settings.ca_file
            )
    listener = _listener(hosts, settings, address, port)
    bootstrap = {"static_resources": {"listeners": [listener], "clusters": [*clusters.values()]}}
    return Exported(
        resolve(bootstrap, environ), tuple(dict.fromkeys(gaps)), tuple(dict.fromkeys(remarks))
    )


def _listener(
    hosts: list[dict[str, Any]], settings: MeshSettings, address: str, port: int
) -> dict[str, Any]:
    manager = {
        "@type": f"type.googleapis.com/{_HTTP}",
        "stat_prefix": "llm_mesh",
        "strip_any_host_port": True,
        "normalize_path": True,
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": f"{settings.idle_timeout:g}s",
        "access_log": [
            _typed("envoy.access_loggers.stdout", _LOG, log_format={"json_format": _LOGGED})
        ],
        "http_filters": [
            _typed(
                "envoy.filters.http.lua",
                _LUA,
                default_source_code={"inline_string": _filter()},
                # The filter removes what rules match; a backend is drawn only once.
                clear_route_cache=False,
            ),
            _typed("envoy.filters.http.router", _ROUTER, suppress_envoy_headers=True),
        ],
        "route_config": {"name": "llm_mesh", "virtual_hosts": hosts},
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    return {
        "name": "llm_mesh",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "per_connection_buffer_limit_bytes": settings.max_request_bytes,
        "filter_chains": [chain],
    }


def _typed(name: str, type: str, **config: object) -> dict[str, Any]:
    """Return an extension of Envoy with its configuration."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{type}", **config}}


def _filter() -> str:
    return (files(__package__) / "filter.lua").read_text("utf-8")

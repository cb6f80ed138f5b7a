"""One Envoy cluster for each endpoint of a provider."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Any

from ..._core.provider.upstream import Upstream
from ..._core.values.endpoint import Endpoint

__all__ = ["SYSTEM_CA_FILE", "cluster", "cluster_name"]

# Where Envoy's own images, Debian and Alpine keep the system's authorities.
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def cluster_name(upstream: Upstream) -> str:
    """Return a name for the endpoint of `upstream`, the same for all rules that use it."""
    endpoint = upstream.endpoints.now()[0]
    mark = hashlib.sha256(repr(endpoint).encode()).hexdigest()[:6]
    return f"{re.sub(r'[^A-Za-z0-9.-]', '-', upstream.host)}-{mark}"


def cluster(upstream: Upstream, *, connect_timeout_s: float, ca_file: str | None) -> dict[str, Any]:
    """Return the cluster: an address, a connect timeout and, for https, TLS with a checked name."""
    endpoint = upstream.endpoints.now()[0]
    name = cluster_name(upstream)
    address = {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}}
    made: dict[str, Any] = {
        "name": name,
        "type": "STATIC" if _is_ip(endpoint.address) else "LOGICAL_DNS",
        "connect_timeout": f"{connect_timeout_s:g}s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if endpoint.scheme == "https":
        made["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _tls(endpoint, ca_file),
        }
    return made


def _tls(endpoint: Endpoint, ca_file: str | None) -> dict[str, Any]:
    files = endpoint.tls
    kind = "IP_ADDRESS" if _is_ip(endpoint.server_name) else "DNS"
    common: dict[str, Any] = {
        "alpn_protocols": ["http/1.1"],
        "validation_context": {
            "trusted_ca": {"filename": files.ca_file or ca_file or SYSTEM_CA_FILE},
            "match_typed_subject_alt_names": [
                {"san_type": kind, "matcher": {"exact": endpoint.server_name}}
            ],
        },
    }
    if files.client_cert_file is not None:
        key = files.client_key_file or files.client_cert_file
        common["tls_certificates"] = [
            {
                "certificate_chain": {"filename": files.client_cert_file},
                "private_key": {"filename": key},
            }
        ]
    return {"@type": _TLS, "sni": endpoint.server_name, "common_tls_context": common}


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

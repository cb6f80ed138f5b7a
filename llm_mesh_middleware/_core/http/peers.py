"""The peer of a connection: this host, a private network, or a proxy for unknown clients.

The networks are listed here because `ipaddress.is_private` differs between releases and includes
networks that anyone can come from: Teredo, 6to4, benchmarking (198.18.0.0/15), the reserved
240.0.0.0/4.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from ..values.headers import Headers

__all__ = ["is_private_peer", "is_proxied"]

_NETWORKS_V4 = tuple(
    IPv4Network(each)
    for each in (
        "127.0.0.0/8",
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # RFC 3927
    )
)
_NETWORKS_V6 = tuple(IPv6Network(each) for each in ("::1/128", "fc00::/7", "fe80::/10"))

# Longer than any address, even IPv6 with an embedded IPv4 and a zone. A server's `--proxy-headers`
# puts text of the client here.
_MAX_ADDRESS = 64

# Any of these means that the peer is a proxy for another client.
_FORWARDING = frozenset(
    name.encode()
    for name in (
        "ali-cdn-real-ip",
        "akamai-origin-hop",
        "cdn-loop",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-ipcountry",
        "cf-pseudo-ipv4",
        "cf-ray",
        "cf-visitor",
        "cf-worker",
        "client-ip",
        "cloudfront-viewer-address",
        "do-connecting-ip",
        "fastly-client-ip",
        "fastly-ff",
        "fly-client-ip",
        "fly-forwarded-port",
        "forwarded",
        "forwarded-for",
        "front-end-https",
        "incap-client-ip",
        "proxy-client-ip",
        "remote-addr",
        "remote-ip",
        "surrogate-capability",
        "true-client-ip",
        "via",
        "wl-proxy-client-ip",
        "x-appengine-user-ip",
        "x-arr-log-id",
        "x-arr-ssl",
        "x-azure-clientip",
        "x-azure-fdid",
        "x-azure-socketip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-coming-from",
        "x-envoy-external-address",
        "x-envoy-internal",
        "x-envoy-original-host",
        "x-envoy-original-path",
        "x-forwarded",
        "x-forwarded-by",
        "x-forwarded-client-cert",
        "x-forwarded-email",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-method",
        "x-forwarded-path",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-preferred-username",
        "x-forwarded-proto",
        "x-forwarded-protocol",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-forwarded-tls-client-cert",
        "x-forwarded-uri",
        "x-forwarded-user",
        "x-goog-iap-jwt-assertion",
        "x-ms-forwarded-client-ip",
        "x-nf-client-connection-ip",
        "x-nginx-proxy",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-proxy-user-ip",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
        "x-rewrite-url",
        "x-scheme",
        "x-sucuri-clientip",
        "x-url-scheme",
        "x-varnish",
        "x-vercel-forwarded-for",
        "x-vercel-id",
        "x-vercel-proxied-for",
    )
)


def is_proxied(headers: Headers) -> bool:
    """Return whether a field shows that the peer is a proxy."""
    return not _FORWARDING.isdisjoint(headers.by_name)


def is_private_peer(peer: str) -> bool:
    """Return whether the address belongs to this host or to a private network."""
    return len(peer) <= _MAX_ADDRESS and _is_private(peer)


# Clients may choose the text: at most 1,024 of 64 characters are cached.
@lru_cache(maxsize=1024)
def _is_private(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if address.version == 6:
        if address.ipv4_mapped is None:
            return any(address in network for network in _NETWORKS_V6)
        address = address.ipv4_mapped
    return any(address in network for network in _NETWORKS_V4)

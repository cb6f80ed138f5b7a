"""Where a provider is connected to; its name, path and key stay what they are wherever that is."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.values.endpoint import Endpoint, TLSFiles
from llm_mesh_middleware.testing import CertificateAuthority
from tests.core.scripted import sent
from tests.core.tables import (
    ACME,
    GLOBEX,
    compiled,
    only_endpoint,
    provider,
    request,
    route,
    table,
    upstream_of,
)
from tests.rows import rows

# spec.endpoint, the setting for the provider; scheme, address and port that are connected to.
ENDPOINTS = [
    (None, None, ("https", ACME, 443)),
    ("http://vllm.internal.example", None, ("http", "vllm.internal.example", 80)),
    ("http://vllm.internal.example:8000", None, ("http", "vllm.internal.example", 8000)),
    ("https://10.0.0.7", None, ("https", "10.0.0.7", 443)),
    ("https://[2001:db8::7]:8443", None, ("https", "2001:db8::7", 8443)),
    ("HTTPS://Gateway.Example/", None, ("https", "gateway.example", 443)),
    (None, "https://127.0.0.1:8443", ("https", "127.0.0.1", 8443)),
    ("http://vllm.internal.example", "https://127.0.0.1:1", ("https", "127.0.0.1", 1)),
]


@rows(("own", "setting", "wanted"), ENDPOINTS)
def test_the_setting_goes_before_the_manifest_and_that_before_the_host(
    own: str | None, setting: str | None, wanted: tuple[str, str, int]
) -> None:
    spec = "path: /v2/chat/completions" + ("" if own is None else f"\nendpoint: {own}")
    endpoints = {} if setting is None else {ACME: setting}
    routes = table(provider(openai="{apiKey: key-1}", spec=spec), endpoints=endpoints)
    made = sent(routes, request(), host=ACME)
    endpoint = made.endpoint
    assert (endpoint.scheme, endpoint.address, endpoint.port) == wanted
    assert (endpoint.provider_host, endpoint.server_name) == (ACME, ACME)
    assert made.target == "/v2/chat/completions"
    assert made.headers[0] == (b"host", ACME.encode())
    assert (b"authorization", b"Bearer key-1") in made.headers


def test_a_setting_is_for_its_provider_alone() -> None:
    routes = table(
        provider(), provider(GLOBEX), endpoints={GLOBEX: "http://127.0.0.1:1", "x.example": "x"}
    )
    assert only_endpoint(upstream_of(routes, ACME)).address == ACME
    assert only_endpoint(upstream_of(routes, GLOBEX)).address == "127.0.0.1"


def test_an_ipv6_provider_has_brackets_in_its_host_field_and_none_in_its_address() -> None:
    upstream = upstream_of(table(provider("[2001:DB8::1]")), "[2001:db8::1]")
    assert only_endpoint(upstream) == Endpoint(
        "2001:db8::1", "https", "2001:db8::1", 443, "2001:db8::1"
    )
    assert upstream.headers[0] == (b"host", b"[2001:db8::1]")


def test_a_host_rewrite_changes_neither_address_nor_server_name() -> None:
    ref = f"{{providerHost: {ACME}, hostRewrite: tenant.acme.example}}"
    upstream = upstream_of(table(provider(), route(f"- backendRefs: [{ref}]")))
    assert upstream.headers[0] == (b"host", b"tenant.acme.example")
    assert only_endpoint(upstream) == Endpoint(ACME, "https", ACME, 443, ACME)
    assert upstream.host == ACME


@pytest.fixture(scope="module")
def pem(ca: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that is an authority, a certificate and a key."""
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    return str(ca.write_certificate(path, "client.example"))


@pytest.mark.parametrize(
    ("tls", "files", "name"),
    [
        ("{}", (None, None, None), ACME),
        ("{caFile: PEM}", ("PEM", None, None), ACME),
        ("{serverName: Inner.Example}", (None, None, None), "inner.example"),
        ("{clientCertFile: PEM}", (None, "PEM", None), ACME),
        (
            "{caFile: PEM, serverName: a.example, clientCertFile: PEM, clientKeyFile: PEM}",
            ("PEM", "PEM", "PEM"),
            "a.example",
        ),
    ],
)
def test_tls_files_and_server_name_are_those_of_the_manifest(
    tls: str, files: tuple[str | None, ...], name: str, pem: str
) -> None:
    expected = TLSFiles(*(file and pem for file in files))
    document = provider(spec=f"tls: {tls.replace('PEM', pem)}")
    for endpoints in ({}, {ACME: "https://127.0.0.1:8443"}):
        endpoint = only_endpoint(upstream_of(table(document, endpoints=endpoints), ACME))
        assert (endpoint.tls, endpoint.server_name) == (expected, name)


@pytest.mark.parametrize(
    ("tls", "field"),
    [
        ("{caFile: /nowhere/ca.pem}", "spec.tls.caFile"),
        ("{clientCertFile: /nowhere/c.pem}", "spec.tls.clientCertFile"),
    ],
)
def test_a_tls_file_that_cannot_be_used_is_found_at_once(tls: str, field: str) -> None:
    [problem] = compiled(provider(spec=f"tls: {tls}")).problems
    assert problem.field == field
    assert "cannot be used" in problem.message


@rows(
    "body",
    [
        '{"api_base": "https://evil.example"}',
        '{"base_url": "https://evil.example", "host": "evil.example", "path": "/evil"}',
        '{"messages": [{"role": "user", "content": "https://evil.example/x"}]}',
    ],
)
@rows(
    "field",
    [
        "x-forwarded-host: evil.example",
        "forwarded: host=evil.example",
        "x-original-url: /evil",
        "x-rewrite-url: https://evil.example/",
        "x-openai-custom-host: evil.example",
        "x-portkey-custom-host: https://evil.example",
        "host: evil.example",
    ],
)
def test_nothing_in_a_request_chooses_where_it_goes(field: str, body: str) -> None:
    routes = table(provider(openai="{apiKey: key-1}"))
    plain, tricky = (
        sent(routes, request(), host=ACME),
        sent(routes, request(field, body=body), host=ACME),
    )
    assert tricky.endpoint == plain.endpoint
    assert tricky.target == plain.target
    assert tricky.headers == plain.headers

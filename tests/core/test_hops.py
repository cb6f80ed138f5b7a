"""A call that comes back to the mesh that handles it is refused, and only a mesh hears of hops."""

from __future__ import annotations

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.http.hops import HOPS, next_hops
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware.exceptions import LoopDetected
from tests.core.scripted import play, sent
from tests.core.tables import ACME, provider, request, table
from tests.rows import rows

OWN = "0123456789abcdef"
POLICY = ExchangeSettings(mesh_id=OWN)
ROUTES = table(provider())


def endpoint(scheme: str, address: str) -> Endpoint:
    return Endpoint("acme.example", scheme, address, 80, "acme.example")


@rows(
    "hops",
    [
        OWN,
        f"other, {OWN}",
        f"{OWN},other",
        f" {OWN} ",
        "1, 2, 3, 4, 5, 6, 7, 8",
        "," * 7,
        "," * 100_000,
        ", ".join(["x" * 32] * 8),
    ],
)
def test_a_call_that_has_been_here_or_too_often_elsewhere_is_refused(hops: str) -> None:
    performed = play(ROUTES, request(f"x-llm-mesh-hops:{hops}"), host=ACME, policy=POLICY)
    assert isinstance(performed.error, LoopDetected)
    assert (performed.error.status, performed.error.code) == (508, "loop_detected")
    assert performed.notes.ended


@rows("hops", ["other", "1, 2, 3, 4, 5, 6, 7", "", "x" * 100_000, OWN[:-1]])
def test_a_call_of_another_mesh_is_served(hops: str) -> None:
    assert sent(ROUTES, request(f"x-llm-mesh-hops:{hops}"), host=ACME, policy=POLICY)


@rows(
    ("scheme", "address"),
    [
        ("http", "api.acme.example"),
        ("http", "203.0.113.9"),
        ("https", "127.0.0.1"),
        ("https", "::1"),
        ("https", "10.0.0.5"),
        ("https", "fd00::1"),
        ("https", "localhost"),
        ("https", "gateway"),
        ("https", "Mesh.Team.SVC"),
        ("https", "mesh.team.svc.cluster.local"),
        ("https", "host.docker.internal"),
    ],
)
def test_an_endpoint_that_may_be_a_mesh_hears_of_the_hops(scheme: str, address: str) -> None:
    there = endpoint(scheme, address)
    assert next_hops(Headers([]), OWN, there) == (HOPS, OWN.encode())
    before = Headers([(HOPS, b"first, x\x80y,, " + b"z" * 40 + b",second")])
    assert next_hops(before, OWN, there) == (HOPS, f"first, second, {OWN}".encode())


@rows(
    ("scheme", "address"),
    [("https", "api.acme.example"), ("https", "203.0.113.9"), ("https", "2001:db8::1")],
)
def test_a_provider_hears_of_no_hops(scheme: str, address: str) -> None:
    assert next_hops(Headers([(HOPS, b"first")]), OWN, endpoint(scheme, address)) is None


def test_a_mesh_without_an_id_says_nothing() -> None:
    assert next_hops(Headers([]), "", endpoint("http", "127.0.0.1")) is None


def test_hops_reach_no_provider_over_https() -> None:
    made = sent(ROUTES, request("x-llm-mesh-hops: first"), host=ACME, policy=POLICY)
    assert HOPS not in dict(made.headers)

"""Who may spend the owner's key: by mode, peer, forwarding fields, client key and `authorize`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.policy.access import AccessPolicy
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.steps import Ask
from llm_mesh_middleware._engine.ports.callback import Callback
from llm_mesh_middleware.exceptions import AccessDenied, InvalidClientKey
from tests.canaries import canary
from tests.rows import rows

KEYS = {"alice": canary("alice"), "bob": canary("bob")}
ALICE, STRANGER = f"Bearer {KEYS['alice']}", f"Bearer {canary('somebody else')}"
NEAR, FAR = "127.0.0.1", "8.8.8.8"
FORWARDED = "x-forwarded-for: 8.8.8.8"

ANYONE, DENIED, NO_KEY = None, AccessDenied, InvalidClientKey


def admit(
    mode: str,
    peer: str | None,
    *fields: str,
    authorize: Callable[[], bool] | None = None,
    keys: dict[str, str] | None = KEYS,
) -> object:
    """The consumer's name, None for a nameless one, or the class of the error."""
    raw = [
        (name.encode(), value.encode("latin-1"))
        for name, _, value in (field.partition(": ") for field in fields)
    ]
    policy = AccessPolicy.of(mode, keys or {})
    if authorize is not None:
        policy = replace(policy, authorize=Callback(lambda native: authorize(), "authorize"))
    try:
        return consumer_of(policy, peer, Headers(raw))
    except (AccessDenied, InvalidClientKey) as error:
        return type(error)


def consumer_of(policy: AccessPolicy, peer: str | None, headers: Headers) -> str | None:
    """The consumer that an admitted request has; `policy` asks as the synchronous driver has it."""
    admitted, result = policy.admit(ClientRequest("POST", "/", headers, peer=peer)), None
    while not isinstance(admitted, ClientRequest):
        try:
            step = admitted.send(result)
            assert isinstance(step, Ask)
            result = step.port.ask(step.request, step.until)  # type: ignore[union-attr]
        except StopIteration as stop:
            admitted = stop.value
    return admitted.attributes.get("consumer")


# mode `private`, no keys configured: who is near.
PEERS = [
    ("127.0.0.1", ANYONE),
    ("127.8.9.10", ANYONE),
    ("::1", ANYONE),
    ("10.0.0.1", ANYONE),
    ("172.16.0.1", ANYONE),
    ("172.31.255.255", ANYONE),
    ("192.168.1.1", ANYONE),
    ("169.254.1.1", ANYONE),
    ("fd00::1", ANYONE),
    ("fe80::1", ANYONE),
    ("fe80::1%eth0", ANYONE),
    ("::ffff:127.0.0.1", ANYONE),
    ("::ffff:10.0.0.1", ANYONE),
    ("::FFFF:192.168.0.1", ANYONE),
    ("8.8.8.8", DENIED),
    ("172.15.255.255", DENIED),
    ("172.32.0.1", DENIED),
    ("192.167.255.255", DENIED),
    ("11.0.0.1", DENIED),
    ("128.0.0.1", DENIED),
    ("2001:4860:4860::8888", DENIED),
    ("::ffff:8.8.8.8", DENIED),
    ("::ffff:808:808", DENIED),
    ("8.8.8.8%127.0.0.1", DENIED),
    # networks that anybody may come from, whatever `ipaddress` calls them
    ("198.18.0.1", DENIED),
    ("198.19.255.255", DENIED),
    ("240.0.0.1", DENIED),
    ("255.255.255.255", DENIED),
    ("0.0.0.0", DENIED),
    ("100.64.0.1", DENIED),
    ("192.0.0.1", DENIED),
    ("192.0.2.1", DENIED),
    ("198.51.100.1", DENIED),
    ("203.0.113.1", DENIED),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", DENIED),
    ("2001::1", DENIED),
    ("2001:db8::1", DENIED),
    ("2002:7f00:1::", DENIED),
    ("64:ff9b::7f00:1", DENIED),
    ("64:ff9b:1::1", DENIED),
    ("::", DENIED),
    ("::127.0.0.1", DENIED),
    ("::ffff:198.18.0.1", DENIED),
    ("::ffff:0:127.0.0.1", DENIED),
    ("127.0.0.1" + " " * 100, DENIED),
    (None, DENIED),
    ("", DENIED),
    ("localhost", DENIED),
    ("unix:/run/app.sock", DENIED),
    ("127.0.0.1:5000", DENIED),
    ("[::1]", DENIED),
    ("127.1", DENIED),
    ("2130706433", DENIED),
    ("0x7f000001", DENIED),
    ("127.0.0.1, 8.8.8.8", DENIED),
    (" 127.0.0.1", DENIED),
    ("１２７.0.0.1", DENIED),
]


@rows(("peer", "outcome"), PEERS)
def test_private_admits_peers_of_this_host_and_of_private_networks(
    peer: str | None, outcome: object
) -> None:
    assert admit("private", peer, keys=None) == outcome


@rows(
    "field",
    [
        FORWARDED,
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-for: ",
        "x-forwarded-host: a.example",
        "x-forwarded-proto: https",
        "forwarded: for=127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "via: 1.1 proxy",
        "cf-connecting-ip: 8.8.8.8",
        "true-client-ip: 8.8.8.8",
        "x-forwarded-port: 443",
        "x-forwarded-server: a.example",
        "x-forwarded-client-cert: By=a",
        "x-client-ip: 8.8.8.8",
        "x-cluster-client-ip: 8.8.8.8",
        "x-original-forwarded-for: 8.8.8.8",
        "x-original-host: a.example",
        "x-envoy-external-address: 8.8.8.8",
        "x-azure-clientip: 8.8.8.8",
        "x-vercel-forwarded-for: 8.8.8.8",
        "x-nginx-proxy: true",
        "fastly-client-ip: 8.8.8.8",
        "fly-client-ip: 8.8.8.8",
        "cf-ray: 8f0-FRA",
        "cdn-loop: a",
    ],
)
def test_a_near_peer_that_forwards_for_another_is_not_near(field: str) -> None:
    assert admit("private", NEAR, field, keys=None) is DENIED
    assert admit("private", NEAR, "accept: a", field) is DENIED
    assert admit("private", NEAR, field, f"authorization: {ALICE}") == "alice"
    assert admit("private", NEAR, field, authorize=lambda: True) is ANYONE
    assert admit("open", NEAR, field) is ANYONE


# mode, peer, forwarding field, Authorization, what `authorize` says, the outcome; keys configured.
ROWS = [
    ("private", NEAR, None, None, None, ANYONE),
    ("private", NEAR, None, ALICE, None, "alice"),
    ("private", NEAR, None, STRANGER, None, ANYONE),  # an SDK sends some key or other
    ("private", NEAR, None, None, False, DENIED),
    ("private", NEAR, FORWARDED, None, None, DENIED),
    ("private", NEAR, FORWARDED, ALICE, None, "alice"),
    ("private", NEAR, FORWARDED, STRANGER, None, NO_KEY),
    ("private", NEAR, FORWARDED, None, True, ANYONE),
    ("private", NEAR, FORWARDED, None, False, DENIED),
    ("private", FAR, None, None, None, DENIED),
    ("private", FAR, None, ALICE, None, "alice"),
    ("private", FAR, None, STRANGER, None, NO_KEY),
    ("private", FAR, None, None, True, ANYONE),
    ("private", FAR, None, STRANGER, True, ANYONE),
    ("private", FAR, None, ALICE, False, "alice"),
    ("private", FAR, None, None, False, DENIED),
    ("private", FAR, None, STRANGER, False, NO_KEY),
    ("private", None, None, None, None, DENIED),
    ("private", None, None, ALICE, None, "alice"),
    ("private", None, None, None, True, ANYONE),
    ("keys", NEAR, None, None, None, NO_KEY),
    ("keys", NEAR, None, ALICE, None, "alice"),
    ("keys", NEAR, None, STRANGER, None, NO_KEY),
    ("keys", NEAR, None, None, True, ANYONE),
    ("keys", NEAR, None, STRANGER, True, ANYONE),
    ("keys", NEAR, None, None, False, NO_KEY),
    ("keys", NEAR, None, ALICE, False, "alice"),
    ("keys", FAR, FORWARDED, ALICE, None, "alice"),
    ("keys", FAR, FORWARDED, None, True, ANYONE),
    ("keys", None, None, None, None, NO_KEY),
    ("open", NEAR, None, None, None, ANYONE),
    ("open", FAR, FORWARDED, None, None, ANYONE),
    ("open", FAR, FORWARDED, STRANGER, False, NO_KEY),
    ("open", FAR, FORWARDED, None, False, DENIED),
    ("private", NEAR, None, None, True, ANYONE),
    ("open", FAR, None, ALICE, None, "alice"),
    ("open", None, None, None, None, ANYONE),
]


@rows(("mode", "peer", "forwarding", "token", "says", "outcome"), ROWS)
def test_who_is_admitted(
    mode: str,
    peer: str | None,
    forwarding: str | None,
    token: str | None,
    says: bool | None,
    outcome: object,
) -> None:
    fields = [] if forwarding is None else [forwarding]
    fields += [] if token is None else [f"authorization: {token}"]
    authorize = None if says is None else lambda: says
    assert admit(mode, peer, *fields, authorize=authorize) == outcome


@rows(
    ("token", "outcome"),
    [
        (ALICE, "alice"),
        (f"bearer {KEYS['alice']}", "alice"),
        (f"BEARER {KEYS['bob']}", "bob"),
        (f"Bearer   {KEYS['bob']}  ", "bob"),
        (KEYS["alice"], NO_KEY),
        ("Bearer", NO_KEY),
        ("Bearer ", NO_KEY),
        ("", NO_KEY),
        (f"Basic {KEYS['alice']}", NO_KEY),
        (f"Token {KEYS['alice']}", NO_KEY),
        (f"Bearer {KEYS['alice'].upper()}", NO_KEY),
        (f"Bearer {KEYS['alice'][:-1]}", NO_KEY),
        (f"Bearer {KEYS['alice']}x", NO_KEY),
        (f"Bearer {KEYS['alice']}, Bearer {KEYS['bob']}", NO_KEY),
        ("Bearer alice", NO_KEY),
        ("Bearer \xff\xfe", NO_KEY),
    ],
)
def test_a_client_key_is_a_bearer_token_and_nothing_else(token: str, outcome: object) -> None:
    for mode in ("keys", "private"):
        assert admit(mode, FAR, f"authorization: {token}") == outcome


def test_two_authorization_fields_are_no_key() -> None:
    fields = (f"authorization: {ALICE}", f"authorization: {ALICE}")
    assert admit("keys", NEAR, *fields) is NO_KEY


@rows("name", ["x-api-key", "api-key", "proxy-authorization", "cookie"])
def test_a_client_key_elsewhere_is_not_looked_at(name: str) -> None:
    assert admit("keys", NEAR, f"{name}: {ALICE}") is NO_KEY


def test_without_configured_keys_a_token_says_nothing() -> None:
    assert admit("private", FAR, f"authorization: {ALICE}", keys=None) is DENIED
    assert admit("private", NEAR, f"authorization: {ALICE}", keys=None) is ANYONE
    assert admit("keys", NEAR, f"authorization: {ALICE}", keys=None) is NO_KEY
    assert admit("open", FAR, f"authorization: {ALICE}", keys=None) is ANYONE


def test_authorize_is_not_asked_about_a_valid_client_key() -> None:
    def fail() -> bool:
        raise AssertionError("asked without need")

    assert admit("private", FAR, f"authorization: {ALICE}", authorize=fail) == "alice"
    assert admit("keys", FAR, f"authorization: {ALICE}", authorize=fail) == "alice"
    assert admit("open", FAR, f"authorization: {ALICE}", authorize=fail) == "alice"


def test_a_valid_key_opens_every_door_and_names_its_consumer() -> None:
    for mode, peer, fields in product(
        ("private", "keys", "open"), (NEAR, FAR, None, "garbage"), ((), (FORWARDED,))
    ):
        assert admit(mode, peer, *fields, f"authorization: {ALICE}") == "alice"


@rows(
    ("mode", "fields", "status", "challenge"),
    [
        ("keys", [], 401, {"www-authenticate": "Bearer"}),
        ("private", [f"authorization: {STRANGER}"], 401, {"www-authenticate": "Bearer"}),
        ("private", [], 403, {}),
    ],
)
def test_a_refusal_has_its_status_and_repeats_no_key(
    mode: str, fields: list[str], status: int, challenge: dict[str, str]
) -> None:
    raw = [(b"authorization", value.partition(": ")[2].encode()) for value in fields]
    with pytest.raises((AccessDenied, InvalidClientKey)) as caught:
        consumer_of(AccessPolicy.of(mode, KEYS), FAR, Headers(raw))
    assert caught.value.status == status
    assert caught.value.headers == challenge
    for secret in (*KEYS.values(), *KEYS, "somebody", FAR):
        assert secret not in str(caught.value)


def test_a_policy_shows_neither_keys_nor_their_digests() -> None:
    policy = AccessPolicy.of("keys", KEYS)
    assert repr(policy) == "AccessPolicy(mode='keys')"
    for key in KEYS.values():
        assert key.encode() not in policy.keys

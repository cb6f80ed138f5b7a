"""Which Host values name a virtual host, and which of several virtual hosts they name."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest

from llm_mesh_middleware._core.routing.table import RoutingTable
from tests.core.tables import ACME, provider, route, table
from tests.rows import rows

DASHSCOPE = "dashscope.aliyuncs.com"
RULES = f"- backendRefs: [{{providerHost: {ACME}}}]"

SPELLINGS = [
    # one host, however it is written
    (b"dashscope.aliyuncs.com", True),
    (b"DashScope.aliyuncs.com", True),
    (b"DASHSCOPE.ALIYUNCS.COM", True),
    (b"dashscope.aliyuncs.com:80", True),
    (b"dashscope.aliyuncs.com:8443", True),
    (b"dashscope.aliyuncs.com:", True),
    (b"dashscope.aliyuncs.com.", True),
    (b"DashScope.Aliyuncs.Com.:443", True),
    (b" dashscope.aliyuncs.com\t", True),
    # others that look like it
    (b"evil-dashscope.aliyuncs.com", False),
    (b"evil.dashscope.aliyuncs.com", False),
    (b"dashscope.aliyuncs.com.evil", False),
    (b"dashscope.aliyuncs.com.evil.example", False),
    (b"dashscope-aliyuncs.com", False),
    (b"dashscopexaliyuncs.com", False),
    (b"dashscope", False),
    (b"aliyuncs.com", False),
    (b".dashscope.aliyuncs.com", False),
    (b"dashscope.aliyuncs.com..", False),
    (b"dashscope..aliyuncs.com", False),
    # no hosts at all
    (b"", False),
    (b".", False),
    (b":80", False),
    (b"x@dashscope.aliyuncs.com", False),
    (b"dashscope.aliyuncs.com@evil.example", False),
    (b"dashscope.aliyuncs.com:80@evil.example", False),
    (b"dashscope.aliyuncs.com/x", False),
    (b"dashscope.aliyuncs.com/", False),
    (b"dashscope.aliyuncs.com?x", False),
    (b"dashscope.aliyuncs.com#x", False),
    (b"dashscope.aliyuncs.com\\x", False),
    (b"http://dashscope.aliyuncs.com", False),
    (b"//dashscope.aliyuncs.com", False),
    (b"dashscope.aliyuncs.com:80:80", False),
    (b"dashscope.aliyuncs.com:x", False),
    (b"dashscope.aliyuncs.com:-1", False),
    (b"dashscope.aliyuncs.com:8 0", False),
    (b"a,b", False),
    (b"dashscope.aliyuncs.com, evil.example", False),
    (b"dashscope.aliyuncs.com,dashscope.aliyuncs.com", False),
    (b"dashscope.aliyuncs.com evil.example", False),
    (b"dashscope.aliyuncs.com\x00", False),
    (b"dashscope.aliyuncs.com\r\nx: y", False),
    (b"dashscope\xc2\xb7aliyuncs.com", False),
    (b"dash%73cope.aliyuncs.com", False),
    ("dashscope\u3002aliyuncs.com".encode(), False),
    ("da\u017fhscope.aliyuncs.com".encode(), False),
    (b"[dashscope.aliyuncs.com]", False),
    (b"*.aliyuncs.com", False),
    (b"\xff\xfe", False),
]


@rows(("spelling", "is_ours"), SPELLINGS)
def test_a_host_is_recognised_by_its_name_alone(spelling: bytes, is_ours: bool) -> None:
    routes = table(provider(DASHSCOPE))
    for _ in range(2):  # the second answer comes from the cache
        assert (routes.find(spelling) is not None) == is_ours


@pytest.mark.parametrize("written", ["DashScope.Aliyuncs.Com", "dashscope.aliyuncs.com."])
def test_a_manifest_may_spell_its_host_in_other_ways_too(written: str) -> None:
    (host,) = table(provider(written)).hosts
    assert host.name == DASHSCOPE


@rows(
    ("written", "asked"),
    [
        ("10.1.2.3", b"10.1.2.3:8080"),
        ("[2001:db8::1]", b"[2001:db8::1]"),
        ("2001:DB8::1", b"[2001:DB8::1]:80"),
        ("in_cluster_name", b"in_cluster_name"),
    ],
)
def test_an_address_may_be_a_host(written: str, asked: bytes) -> None:
    assert table(provider(written)).find(asked) is not None


LOOPBACK = ("::1", "[::1]", "0:0:0:0:0:0:0:1", "[0000::0001]", "::0.0.0.1")
ADDRESSES = [
    (b"[::1]", True),
    (b"[0:0:0:0:0:0:0:1]:8080", True),
    (b"[0000:0000:0000:0000:0000:0000:0000:0001].", False),
    (b"[::0001]", True),
    (b"[::0.0.0.1]", True),
    (b" [0::1]:80\t", True),
    (b"[::2]", False),
    (b"[1::]", False),
    (b"[::1%25lo]", False),
    (b"[:::1]", False),
    (b"[0:1]", False),
    (b"[::10000]", False),
    (b"[]", False),
    (b"::1", False),
    (b"0:0:0:0:0:0:0:1", False),
]


@rows(("asked", "is_ours"), ADDRESSES)
@rows("written", LOOPBACK)
def test_an_ipv6_address_is_one_host_however_it_is_spelt(
    written: str, asked: bytes, is_ours: bool
) -> None:
    routes = table(provider(written))
    for _ in range(2):  # the second answer comes from the cache
        assert (routes.find(asked) is not None) == is_ours


def test_the_longest_ipv6_address_is_recognised() -> None:
    routes = table(provider("2001:db8:0:0:1::1"))
    (host,) = routes.hosts
    assert host.name == "2001:db8::1:0:0:1"  # RFC 5952 4.2.3: the first of two runs is shortened
    assert routes.find(b"[2001:0DB8:0000:0000:0001:0000:0000:0001]:65535") is host


def hosts(*names: str, namespace: str = "default") -> RoutingTable:
    routes = [
        route(RULES, name, name=f"route-{index}", namespace=namespace)
        for index, name in enumerate(names)
    ]
    return table(provider(), *routes)


def name_of(routes: RoutingTable, host: str) -> str | None:
    found = routes.find(host.encode())
    return None if found is None else found.name


SHORT = [
    ("demo", "demo"),
    ("Demo:80", "demo"),
    ("demo.", "demo"),
    ("demo.shop", "demo"),
    ("demo.shop.svc", "demo"),
    ("demo.shop.svc.cluster.local", "demo"),
    ("demo.shop.svc.cluster.local.:8080", "demo"),
    ("DEMO.Shop.SVC", "demo"),
    ("demo.default", None),
    ("demo.default.svc.cluster.local", None),
    ("demo.shop.svc.cluster", None),
    ("demo.shop.svc.cluster.local.evil", None),
    ("demo.shop.pod", None),
    ("shop.demo", None),
    ("demo.svc", None),
    ("demo.svc.cluster.local", None),
    ("x.demo.shop.svc", None),
    ("demoshop", None),
]


@rows(("asked", "name"), SHORT)
def test_a_short_name_answers_to_its_service_names_in_its_own_namespace(
    asked: str, name: str | None
) -> None:
    assert name_of(hosts("demo", namespace="shop"), asked) == name


def test_a_name_with_a_dot_or_a_wildcard_has_no_service_names() -> None:
    assert name_of(hosts("demo.example"), "demo.example.default.svc") is None
    assert name_of(hosts("*.demo"), "demo.default.svc") is None


def test_a_route_for_a_service_name_goes_before_the_short_name_of_another() -> None:
    routes = hosts("demo", "demo.default.svc")
    assert name_of(routes, "demo.default.svc") == "demo.default.svc"
    assert name_of(routes, "demo.default") == "demo"


WILDCARDS = [
    ("chat.eu.llm.example", "chat.eu.llm.example"),
    ("CHAT.eu.llm.example.:80", "chat.eu.llm.example"),
    ("other.eu.llm.example", "*.eu.llm.example"),
    ("a.b.eu.llm.example", "*.eu.llm.example"),
    ("eu.llm.example", "*.llm.example"),
    ("us.llm.example", "*.llm.example"),
    ("xeu.llm.example", "*.llm.example"),
    ("llm.example", "*"),
    ("xllm.example", "*"),
    ("anything", "*"),
    ("127.0.0.1:8000", "*"),
    ("[::1]:8000", "*"),
    ("x@y", None),
    ("", None),
]


@rows(("asked", "name"), WILDCARDS)
@rows("is_reversed", [False, True])
def test_exact_goes_before_the_longest_suffix_and_that_before_any_host(
    asked: str, name: str | None, is_reversed: bool
) -> None:
    names = ["*", "*.llm.example", "chat.eu.llm.example", "*.eu.llm.example"]
    routes = hosts(*(reversed(names) if is_reversed else names))
    assert name_of(routes, asked) == name


def test_without_a_wildcard_other_hosts_are_not_ours() -> None:
    assert name_of(hosts("*.llm.example"), "127.0.0.1") is None


def test_an_empty_table_knows_no_host() -> None:
    assert RoutingTable().find(b"chat") is None


def test_thousands_of_different_hosts_take_no_lasting_memory() -> None:
    routes = hosts("*.llm.example")

    def ask(count: int, generation: int) -> None:
        for number in range(count):
            spelling = b"%d-%d.llm.example" % (generation, number)
            assert routes.find(spelling) is not None
            assert routes.find(spelling + b".evil") is None

    ask(1_000, 0)
    gc.collect()
    tracemalloc.start()
    try:
        ask(5_000, 1)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    entry = sys.getsizeof(b"10000-10000.llm.example.evil") + 100
    assert kept < 2_000 * entry  # 10,000 were asked for

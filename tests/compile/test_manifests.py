"""The six manifests, applied one after another: what each changes for a client."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from llm_mesh_middleware._compile import Workload, compile_manifest
from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from llm_mesh_middleware.sources import FileSource
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MANIFESTS, MOONSHOT, MOONSHOT_KEY
from tests.core.scripted import sent
from tests.core.tables import pick, request, virtual_host
from tests.rows import rows

FILES = sorted(MANIFESTS.glob("*.yaml"))
ENVIRON = {"YOUR_DASHSCOPE_API_KEY": DASHSCOPE_KEY, "YOUR_MOONSHOT_API_KEY": MOONSHOT_KEY}
SUBSCRIBER, GUEST = "user-type: subscriber", "user-type: guest"

QWEN, TURBO = "qwen1.5-72b-chat", "qwen-turbo"
DASHSCOPE_PATH = "/compatible-mode/v1/chat/completions"


def after(step: int) -> RoutingTable:
    """The table when the first `step` manifests have been applied."""
    manifest = FileSource(FILES[:step], environ=ENVIRON).load()
    result = compile_manifest(
        manifest, Workload({}), endpoints={}, timeouts=Timeouts(), environ=ENVIRON
    )
    assert result.problems == ()
    assert result.table is not None
    return result.table


# After how many manifests, the host called, the client's field; the rule, the model upstream.
STEPS = [
    (1, DASHSCOPE, GUEST, "default", QWEN),
    (1, DASHSCOPE, SUBSCRIBER, "default", QWEN),
    (2, DASHSCOPE, GUEST, "rules[1]", QWEN),
    (2, DASHSCOPE, SUBSCRIBER, "vip-route", QWEN),
    (3, DASHSCOPE, GUEST, "rules[1]", QWEN),
    (3, DASHSCOPE, SUBSCRIBER, "vip-route", TURBO),
    (3, DASHSCOPE, "user-type: Subscriber", "rules[1]", QWEN),
    (3, DASHSCOPE, "x: y", "rules[1]", QWEN),
    (4, DASHSCOPE, SUBSCRIBER, "vip-route", TURBO),
    (5, DASHSCOPE, SUBSCRIBER, "vip-route", TURBO),
    (6, DASHSCOPE, SUBSCRIBER, "vip-route", TURBO),
    (6, DASHSCOPE, GUEST, "rules[1]", QWEN),
]


@rows(("step", "host", "field", "rule", "model"), STEPS)
def test_each_manifest_changes_what_it_is_for(
    step: int, host: str, field: str, rule: str, model: str
) -> None:
    routes = after(step)
    asked = request(field, body='{"messages": []}')
    assert pick(virtual_host(routes, host), asked, lambda: 0.0).rule == rule
    made = sent(routes, asked, host=host)
    assert json.loads(made.body) == {"messages": [], "model": model}
    assert (made.method, made.target) == ("POST", DASHSCOPE_PATH)
    assert (made.endpoint.scheme, made.endpoint.address, made.endpoint.port) == (
        "https",
        DASHSCOPE,
        443,
    )
    headers = dict(made.headers)
    assert headers[b"host"] == DASHSCOPE.encode()
    assert headers[b"authorization"] == f"Bearer {DASHSCOPE_KEY}".encode()


@rows("step", range(7))
def test_hosts_appear_with_the_manifest_that_names_them(step: int) -> None:
    routes = after(step)
    found = {name for name in (DASHSCOPE, MOONSHOT, DEMO) if routes.find(name.encode())}
    since = {DASHSCOPE: 1, MOONSHOT: 4, DEMO: 6}
    assert found == {name for name, first in since.items() if step >= first}


@rows("step", [4, 5, 6])
def test_moonshot_is_asked_for_its_model_and_no_stream(step: int) -> None:
    made = sent(after(step), request(body='{"model": "x", "stream": true}'), host=MOONSHOT)
    assert json.loads(made.body) == {"model": "moonshot-v1-8k", "stream": False}
    assert made.target == "/v1/chat/completions"
    assert dict(made.headers)[b"authorization"] == f"Bearer {MOONSHOT_KEY}".encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "host", [DEMO, f"{DEMO}:80", f"{DEMO}.default.svc.cluster.local", "DEMO-llm-server.default"]
)
def test_the_demo_service_is_shared_out_evenly(host: str) -> None:
    found = virtual_host(after(6), host)
    draw = random.Random(6).random
    picks = [pick(found, request(SUBSCRIBER), draw) for _ in range(10_000)]
    assert {pick.rule for pick in picks} == {"migrate-rule"}
    shares = Counter(pick.upstream.host for pick in picks)
    assert shares[DASHSCOPE] / 10_000 == pytest.approx(0.5, abs=0.01)
    assert shares[MOONSHOT] / 10_000 == pytest.approx(0.5, abs=0.01)
    models = {pick.upstream.host: pick.upstream.model for pick in picks}
    assert models == {DASHSCOPE: QWEN, MOONSHOT: "moonshot-v1-8k"}


def test_a_directory_is_applied_in_the_order_of_its_names() -> None:
    assert [path.name[:2] for path in FILES] == ["01", "02", "03", "04", "05", "06"]
    whole = FileSource([MANIFESTS], environ=ENVIRON).load()
    assert whole == FileSource(FILES, environ=ENVIRON).load()

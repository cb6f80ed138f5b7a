"""A real Prometheus scrapes a real sidecar, and every query of the dashboard has an answer."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_mesh_middleware.testing import Answer, error_body
from tests.telemetry.e2e.calls import BACKUP, HOST, PRIMARY, Providers, make_calls
from tests.telemetry.e2e.conftest import Prometheus, Start
from tests.telemetry.e2e.dashboard import queries

pytestmark = pytest.mark.slow

_PRICES = f"""\
{PRIMARY}: [{{perMillion: {{input: "1", output: "2"}}}}]
{BACKUP}: [{{model: {{exact: another}}, perMillion: {{input: "1"}}}}]
"""


# A host of its own for what the other calls do without: policies, mirrors, another dialect.
WATCHED = "watched.example"
_MORE = f"""\
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {{name: watched}}
spec:
  host: {WATCHED}
  rules:
  - name: sticky
    stickyBy: {{header: x-user}}
    backendRefs:
    - {{providerHost: {BACKUP}, weight: 1}}
    - {{providerHost: {BACKUP}, weight: 1, model: small-2}}
    mirrors: [{{providerHost: {BACKUP}, model: small-3}}]
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: watching}}
spec:
  targetRefs: [{{kind: LLMRoute, name: watched}}]
  cache: {{ttl: 1h, vary: []}}
  guards:
  - {{name: personal, pii: {{entities: [EMAIL]}}, action: {{log: {{}}}}}}
"""


@pytest.fixture
def scraped(
    start: Start, prometheus: Prometheus | None, upstreams: Providers, tmp_path: Path
) -> tuple[str, httpx.Client]:
    """The sidecar's URL, and a client of the Prometheus that scrapes it."""
    if prometheus is None:
        pytest.skip("prometheus is not installed (Debian's package has this name)")
    prices = tmp_path / "prices.yaml"
    prices.write_text(_PRICES, "utf-8")
    upstreams.config.write_text(upstreams.config.read_text("utf-8") + _MORE, "utf-8")
    _, url = start(
        LLM_MESH_PRICES=str(prices),
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(prometheus.target_port),
    )
    return url, prometheus.client


def test_every_query_of_the_dashboard_has_an_answer(
    scraped: tuple[str, httpx.Client], upstreams: Providers
) -> None:
    url, prometheus = scraped
    requests = 'sum(gen_ai_client_operation_duration_seconds_count{llm_mesh_route_name="chat"})'
    for number in (1, 2):  # a rate needs a before and an after
        make_calls(url, upstreams)
        call_without_usage(url, upstreams)
        call_watched(url, number)
        wait_for(prometheus, requests, 5.0 * number)
    eject(url, upstreams)
    wait_for(prometheus, f'llm_mesh_providers_ejected{{server_address="{PRIMARY}"}}', 1.0)

    for title, found in queries().items():
        for query in found:
            values = wait_for_any(prometheus, query)
            assert values, f"{title}: {query}"
            assert not any(math.isnan(value) for value in values.values()), f"{title}: {query}"

    (hits,) = ask(prometheus, queries()["Share answered from the cache"][0]).values()
    assert 0 < hits < 1
    share = ask(prometheus, queries()["Split by backend"][0])
    assert sum(share.values()) == pytest.approx(1)
    (fallbacks,) = ask(
        prometheus, "sum by (llm_mesh_fallback_to) (llm_mesh_fallbacks_total)"
    ).items()
    assert fallbacks[0] == f"llm_mesh_fallback_to={BACKUP}"
    tokens = ask(prometheus, "sum(asm_llm_proxy_prompt_tokens_total)")
    assert list(tokens.values())[0] >= 2 * 25


def call_watched(url: str, number: int) -> None:
    """Ask the same twice, with a personal datum, and something else in a dialect that says more."""
    asked = f"{number}: write to someone@mail.example"
    headers = {"host": WATCHED}
    with httpx.Client(base_url=url, trust_env=False, headers=headers, timeout=20) as client:
        for path, question, more in (
            ("/v1/chat/completions", asked, {}),
            ("/v1/chat/completions", asked, {}),
            ("/v1/messages", f"{asked} again", {"top_k": 7}),
        ):
            turns = [{"role": "user", "content": question}]
            body = {"messages": turns, "model": "m", "max_tokens": 20, **more}
            assert client.post(path, json=body).status_code == 200


def call_without_usage(url: str, upstreams: Providers) -> None:
    answer = {"id": "x", "object": "chat.completion", "model": "large-1", "choices": []}
    upstreams.primary.script(Answer(body=answer))
    assert post(url) == 200


def eject(url: str, upstreams: Providers) -> None:
    upstreams.primary.always(Answer(503, body=error_body("Overloaded", type="server_error")))
    for text in ("Good morning", "Good evening"):
        post(url, text)


def post(url: str, text: str = "Good morning") -> int:
    body = {"messages": [{"role": "user", "content": text}]}
    return httpx.post(url, json=body, headers={"host": HOST}, trust_env=False).status_code


def ask(prometheus: httpx.Client, query: str) -> dict[str, float]:
    """Values by labels."""
    answer: dict[str, Any] = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    return {
        ",".join(f"{k}={v}" for k, v in series["metric"].items()): float(series["value"][1])
        for series in answer["data"]["result"]
    }


def wait_for_any(prometheus: httpx.Client, query: str) -> dict[str, float]:
    """What `query` finds, if it finds numbers in time.

    A scrape that a busy machine makes late takes all gauges away, and a rate is 0/0 until the
    second calls have been scraped.
    """
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        values = ask(prometheus, query)
        if values and not any(map(math.isnan, values.values())):
            break
        time.sleep(0.02)
    return values


def wait_for(prometheus: httpx.Client, query: str, value: float) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if value in ask(prometheus, query).values():
            return
        time.sleep(0.02)
    raise AssertionError(f"{query} never was {value}: {ask(prometheus, query)}")

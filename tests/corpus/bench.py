"""A provider that sends a corpus's responses, a mesh before it, and the SDKs with and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware.testing import FakeUpstream, Stream
from tests.canaries import canary
from tests.corpus.responses import Case, Json

ASKED: Json = {"model": "any", "messages": [{"role": "user", "content": "Hi"}]}
# Hosts, by the form that the configuration makes their provider answer in.
APIS = ["chat", "completions", "responses", "messages"]
FORMS: dict[str, Json] = {
    "any": {},
    "events": {"stream": True},
    "json": {"stream": False},
    "translated": {"apis": ["chat"]},
    "messages": {"apis": ["messages"]},
}


class Ends:
    """An observer of how each call ended."""

    def __init__(self) -> None:
        self.seen: list[tuple[int | None, BaseException | None, Usage | None]] = []

    def __call__(self, request: ClientRequest) -> Observation:
        return _End(self)


class _End(Observation):
    def __init__(self, ends: Ends) -> None:
        self._ends = ends

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        self._ends.seen.append((status, error, usage))


class Bench:
    """One of everything, for all cases of a test."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self.upstream = upstream
        self._reader = InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self._ends = Ends()
        self.mesh = Mesh(
            [provider(upstream, form, config) for form, config in FORMS.items()],
            settings=MeshSettings(),
            observer=self._ends,
            meter_provider=self._meters,
        )
        self.client = httpx2.Client(transport=MeshTransport(self.mesh))

    def close(self) -> None:
        self.client.close()
        self.mesh.close()
        self._meters.shutdown()

    def openai(self, form: str) -> openai.OpenAI:
        """The SDK as a client of the mesh."""
        return sdk(form, self.client)

    def send(self, case: Case) -> None:
        """Have the provider send the case's response next, and forget what was recorded."""
        label = case.response.content_type
        headers = () if label is None else (("content-type", label),)
        self.upstream.always(Stream(case.pieces, headers=headers))
        self._ends.seen.clear()
        self._reader.get_metrics_data()

    def recorded(self) -> tuple[Any, list[tuple[str, int, int]]]:
        """How the one call ended, and the sums and counts of the tokens' metric."""
        (end,) = self._ends.seen
        data = self._reader.get_metrics_data()
        points = [
            (str(point.attributes["gen_ai.token.type"]), point.sum, point.count)
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "gen_ai.client.token.usage"
            for point in metric.data.data_points
        ]
        return end, sorted(points)


def provider(upstream: FakeUpstream, form: str, config: Json) -> LLMProvider:
    options = {"apiKey": canary("corpus"), "apis": APIS, **config}
    spec = {
        "host": f"{form}.example",
        "endpoint": upstream.url,
        "configs": {"defaultConfig": {"openAIConfig": options}},
    }
    return LLMProvider.model_validate({"metadata": {"name": form}, "spec": spec})


@contextmanager
def direct(case: Case) -> Iterator[httpx2.Client]:
    """A client that reads the very bytes, with nothing between."""
    label = case.response.content_type
    headers = {} if label is None else {"content-type": label}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=headers, content=iter(case.pieces))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        yield client


def sdk(form: str, client: httpx2.Client) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{form}.example/v1",
        api_key="none",
        max_retries=0,
        http_client=client,  # type: ignore[arg-type]
    )


def plain(value: Any) -> str:
    """What an SDK has read, so that NaN equals itself."""
    return json.dumps(value, sort_keys=True)


def expected_points(counts: Usage | None) -> list[tuple[str, int, int]]:
    if counts is None:
        return []
    return [("input", counts.input_tokens, 1), ("output", counts.output_tokens, 1)]

"""The dashboard reads metrics that exist; the collector's configuration names what it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeter

from llm_mesh_middleware import Mesh
from tests.telemetry.e2e.calls import Providers
from tests.telemetry.e2e.dashboard import DASHBOARD, metric_names, prometheus_names, queries

CONFIG = DASHBOARD.parents[1] / "otel-collector" / "config.yaml"


class _ListingMeter(NoOpMeter):
    """Keeps a list of the instruments that are asked for."""

    def __init__(self, found: set[str]) -> None:
        super().__init__("listing")
        self._found = found

    def _list(self, name: str, unit: str, kind: str) -> None:
        self._found |= prometheus_names(name, unit, kind)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        self._list(name, unit, "counter")
        return super().create_counter(name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        self._list(name, unit, "gauge")
        return super().create_up_down_counter(name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Any:
        self._list(name, unit, "histogram")
        return super().create_histogram(name, unit, description)

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> Any:
        self._list(name, unit, "counter")
        return super().create_observable_counter(name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> Any:
        self._list(name, unit, "gauge")
        return super().create_observable_gauge(name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> Any:
        self._list(name, unit, "gauge")
        return super().create_observable_up_down_counter(name, callbacks, unit, description)


class _ListingProvider(MeterProvider):
    def __init__(self) -> None:
        self.found: set[str] = set()

    def get_meter(self, *args: object, **kwargs: object) -> Meter:
        return _ListingMeter(self.found)


@pytest.mark.parametrize(
    ("generation", "other"),
    [
        ("", "gen_ai_client_inference"),
        ("gen_ai_latest_experimental", "gen_ai_client_operation"),
    ],
)
def test_every_metric_of_the_dashboard_is_one_that_the_mesh_emits(
    generation: str, other: str, upstreams: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", generation)
    provider = _ListingProvider()
    Mesh(upstreams.config, meter_provider=provider)
    read = {query: metric_names(query) for found in queries().values() for query in found}
    # Of what is called otherwise in the other generation, a query reads either name.
    assert [query for query, names in read.items() if not names & provider.found] == []
    unknown = set().union(*read.values()) - provider.found
    assert {name.partition("_duration_")[0] for name in unknown} == {other}


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert variables == {"datasource", "model"}


def test_the_collector_configuration_uses_what_it_defines_and_nothing_is_unused() -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    pipelines = config["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics", "logs"}
    for section in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline[section]}
        assert used == set(config[section])
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    for pipeline in pipelines.values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"


def test_the_collector_samples_by_attributes_that_the_mesh_sets() -> None:
    from llm_mesh_middleware._telemetry import semconv

    policies = yaml.safe_load(CONFIG.read_text("utf-8"))["processors"]["tail_sampling"]["policies"]
    rules = [policy[policy["type"]] for policy in policies]
    keys = {rule["key"] for rule in rules if "key" in rule}
    assert keys == {semconv.IS_FALLBACK, semconv.STREAM_OUTCOME}

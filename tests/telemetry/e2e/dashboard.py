"""The dashboard's queries, and the names that Prometheus gives to OpenTelemetry's metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["DASHBOARD", "metric_names", "prometheus_names", "queries"]

DASHBOARD = Path(__file__).parents[3] / "integrations" / "grafana" / "dashboard.json"

_NAME = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b(?!\s*\()")
_NO_METRIC = re.compile(r"\{[^}]*\}|\bby\s*\([^)]*\)|\bhistogram_quantile\b|\$\w+")
_WORDS = {"s": "_seconds"}


def queries(window: str = "1m") -> dict[str, list[str]]:
    """PromQL by panel, as Grafana would send it with every model chosen."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return {
        panel["title"]: [
            target["expr"].replace("$__rate_interval", window).replace("$model", ".*")
            for target in panel["targets"]
        ]
        for panel in panels
    }


def metric_names(query: str) -> set[str]:
    """The metrics that a query reads."""
    return set(_NAME.findall(_NO_METRIC.sub(" ", query)))


def prometheus_names(name: str, unit: str, kind: str) -> set[str]:
    """The series of an instrument: dots become underscores, units words, counters totals."""
    stem = name.replace(".", "_") + _WORDS.get(unit, "")  # units in braces are annotations
    if kind == "histogram":
        return {f"{stem}_{part}" for part in ("bucket", "sum", "count")}
    return {f"{stem}_total" if kind == "counter" else stem}

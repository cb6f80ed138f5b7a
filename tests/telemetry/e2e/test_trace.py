"""Application, mesh and attempts are one trace, and the documentation's picture shows it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[3] / "docs"

# name, kind, depth, and what tells the attempts apart
TREE = [
    ("GET /weather", "SERVER", 0, 200),
    ("POST", "CLIENT", 1, 200),
    ("POST", "SERVER", 2, 200),
    ("chat small-1", "CLIENT", 3, 200),
    ("POST", "CLIENT", 4, 503),
    ("POST", "CLIENT", 4, 200),
]


@pytest.fixture(scope="module")
def picture() -> Any:
    path = DOCS / "make_trace_picture.py"
    spec = importlib.util.spec_from_file_location("make_trace_picture", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shape(picture: Any, spans: Sequence[dict[str, Any]]) -> list[tuple[str, str, int, int]]:
    status = ("http.response.status_code", "http.status_code")  # instrumentations may be older
    return [
        (
            span["name"].removesuffix(" http send"),
            span["kind"],
            depth,
            next(span["attributes"][key] for key in status if key in span["attributes"]),
        )
        for depth, span in picture.in_tree_order(spans)
    ]


def test_a_streamed_chat_of_an_application_is_one_tree(picture: Any, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    from tests.telemetry.e2e.traced_app import record_trace

    spans = record_trace(tmp_path)
    assert len({span["trace_id"] for span in spans}) == 1
    assert [span["parent_id"] for span in spans].count(None) == 1
    assert shape(picture, spans) == TREE
    by_id = {span["span_id"]: span for span in spans}
    for span in spans:
        assert span["start_ms"] <= span["end_ms"]
        if span["parent_id"] is not None:
            assert by_id[span["parent_id"]]["start_ms"] <= span["start_ms"]
    (call,) = [span for span in spans if span["name"] == "chat small-1"]
    assert call["attributes"]["gen_ai.request.stream"] is True
    assert call["attributes"]["llm_mesh.fallback"] is True
    assert call["attributes"]["gen_ai.usage.input_tokens"] == 58
    assert "Kyoto" not in json.dumps(spans)


def test_the_picture_is_of_the_recorded_trace(picture: Any) -> None:
    spans = json.loads((DOCS / "trace.json").read_text("utf-8"))
    assert shape(picture, spans) == TREE
    drawn = (DOCS / "trace.svg").read_text("utf-8")
    assert drawn == picture.draw(spans)
    assert len(ElementTree.fromstring(drawn).findall("{*}rect")) == len(TREE)  # noqa: S314

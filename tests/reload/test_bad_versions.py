"""A version that cannot be used leaves the last good one in place, and says so once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llm_mesh_middleware import ConfigError, Mesh, MeshSettings, MeshStatus, Problem
from llm_mesh_middleware._manifest import Manifest, parse_manifest
from tests.reload.conftest import ALWAYS_S, MakeMesh
from tests.reload.versions import HOST, key_of, manifest, model_in_use, save

Errors = Callable[[], list[str]]

BROKEN = {
    "a misspelt field": (manifest(2).replace("  path:", "  paht:"), 7, "did you mean"),
    "half a file": (manifest(2)[:150] + '"', 0, ""),
    "a missing variable": (manifest(2).replace("m-000002", "${NOT_SET_HERE}"), 11, "NOT_SET_HERE"),
    "no text": (manifest(2).replace("m-000002", "\0"), 0, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_version_leaves_the_last_good_one(
    make_mesh: MakeMesh, file: Path, errors: Errors, name: str
) -> None:
    text, line, words = BROKEN[name]
    mesh = make_mesh()
    save(file, text)
    for _ in range(5):
        assert model_in_use(mesh) == "m-000001"
    status = mesh.status()
    assert (status.state, status.generation, status.hosts) == ("stale", 1, (HOST,))
    assert status.problems[0].source == str(file)
    assert line in (0, status.problems[0].line)
    (logged,) = errors()
    assert status.problems[0].place in logged
    assert words in logged


def test_each_bad_version_is_logged_once(make_mesh: MakeMesh, file: Path, errors: Errors) -> None:
    mesh = make_mesh()
    for number, _ in enumerate((1, 2, 3), start=1):
        save(file, manifest(2).replace("  path:", f"  path{number}:"))
        for _ in range(3):
            mesh.find(b"whatever.example")
    assert [f"path{number}" in text for number, text in enumerate(errors(), start=1)] == [True] * 3


def test_the_next_good_version_is_used_again(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    save(file, "kind: [")
    assert mesh.status().state == "stale"
    save(file, manifest(2))
    assert model_in_use(mesh) == "m-000002"
    status = mesh.status()
    assert (status.state, status.generation, status.problems) == ("ok", 2, ())
    assert abs(status.loaded_at - time.time()) < 60


def test_to_take_a_bad_change_back_is_good_again(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    save(file, "kind: [")
    assert mesh.status().state == "stale"
    save(file, manifest(1))
    assert mesh.status().state == "ok"


def test_a_directory_that_is_gone_for_a_moment_is_not_the_end(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    mesh = make_mesh(tmp_path)
    (tmp_path / "mesh.yaml").rename(tmp_path / "mesh.bak")
    assert model_in_use(mesh) == "m-000001"
    assert mesh.status().state == "stale"
    (tmp_path / "mesh.bak").rename(tmp_path / "mesh.yaml")
    assert model_in_use(mesh) == "m-000001"
    assert mesh.status().state == "ok"


def test_reload_returns_what_is_wrong_and_does_not_raise_it(
    make_mesh: MakeMesh, file: Path
) -> None:
    mesh = make_mesh(reload_interval=0)
    save(file, manifest(2).replace("  path:", "  paht:"))
    status = mesh.reload()
    assert isinstance(status, MeshStatus)
    assert status.state == "stale"
    assert status.problems[0].field == "spec.paht"


def test_nothing_told_of_a_bad_version_holds_a_key(
    make_mesh: MakeMesh, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = make_mesh()
    save(file, manifest(2).replace("apiKey:", "apiKye:"))
    status = mesh.status()
    told = repr(status) + caplog.text + "".join(map(str, status.problems))
    assert "apiKye" in told
    assert key_of(1) not in told
    assert key_of(2) not in told


def test_warnings_of_a_new_version_are_logged_and_shown(
    make_mesh: MakeMesh, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = make_mesh()
    specific = "    routeSpecificConfigs:\n      nowhere:\n        openAIConfig: {model: other}\n"
    save(file, manifest(2) + specific)
    assert mesh.status().state == "ok"
    assert [problem.severity for problem in mesh.status().problems] == ["warning"]
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["nowhere" in record.getMessage() for record in warned] == [True]


class Scripted:
    """A source of somebody else's."""

    def __init__(self) -> None:
        self.version = 1
        self.error: Exception | None = None
        self.reports: list[tuple[Problem, ...]] = []

    def load(self) -> Manifest:
        if self.error is not None:
            raise self.error
        return parse_manifest(manifest(self.version), source="scripted", environ={})

    def fingerprint(self) -> Hashable:
        return self.version

    def report(self, problems: tuple[Problem, ...]) -> None:
        self.reports.append(problems)
        if self.version == 3:
            raise RuntimeError("no place to write to")


def test_a_source_that_raises_does_not_make_a_request_fail(
    make_mesh: MakeMesh, errors: Errors
) -> None:
    source = Scripted()
    mesh = make_mesh(source)
    source.version, source.error = 2, RuntimeError(key_of(1))
    assert model_in_use(mesh) == "m-000001"
    assert mesh.status().state == "stale"
    (logged,) = errors()
    assert "Scripted: RuntimeError was raised" in logged
    assert key_of(1) not in logged


def test_a_source_that_raises_at_the_start_is_not_hidden(make_mesh: MakeMesh) -> None:
    source = Scripted()
    source.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        make_mesh(source)


def test_a_source_is_told_what_became_of_each_load(make_mesh: MakeMesh, errors: Errors) -> None:
    source = Scripted()
    mesh = make_mesh(source)
    for source.version in (2, 3, 4):
        mesh.find(HOST.encode())
    assert source.reports == [()] * 4
    assert model_in_use(mesh) == "m-000004"
    assert errors() == ["Scripted.report raised RuntimeError"]


def test_a_source_is_told_of_a_start_that_fails(make_mesh: MakeMesh) -> None:
    source = Scripted()
    source.version = -1  # no model has such a name: it becomes a field of its own
    source.load = lambda: parse_manifest("kind: [", source="x", environ={})  # type: ignore[method-assign]
    with pytest.raises(ConfigError):
        make_mesh(source)
    assert [problem.source for (problem,) in source.reports] == ["x"]


def test_reloads_are_counted_by_result_and_the_generation_shows(file: Path) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    settings = MeshSettings(reload_interval=ALWAYS_S)
    mesh = Mesh(file, settings=settings, meter_provider=meters)
    for text in (manifest(2), "kind: [", manifest(3), "kind: {"):
        save(file, text)
        mesh.find(HOST.encode())
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        (metric.name, *point.attributes.values()): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        if metric.name.startswith("llm_mesh.config.")
    }
    assert points == {
        ("llm_mesh.config.reloads", "success"): 2,
        ("llm_mesh.config.reloads", "failure"): 2,
        ("llm_mesh.config.generation",): 3,
        ("llm_mesh.config.last_success",): mesh.status().loaded_at,
    }
    meters.shutdown()

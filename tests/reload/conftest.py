"""A manifest on disk, and meshes that look at it whenever they are asked for something."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from tests.reload.versions import manifest

MakeMesh = Callable[..., Mesh]
ALWAYS_S = 1e-9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """`mesh.yaml`, in its first version."""
    path = tmp_path / "mesh.yaml"
    path.write_text(manifest(1))
    return path


@pytest.fixture
def make_mesh(file: Path) -> MakeMesh:
    """`make_mesh(config=file, **settings)`: with every access there is a look at the files."""

    def make(config: object = file, **settings: object) -> Mesh:
        values = {"reload_interval": ALWAYS_S, **settings}
        return Mesh(config, settings=MeshSettings(**values))  # type: ignore[arg-type]

    return make


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """`errors()`: what was logged as an error so far."""

    def logged() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.levelno >= logging.ERROR and record.name == "llm_mesh_middleware"
        ]

    return logged

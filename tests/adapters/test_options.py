"""The keywords of the adapters."""

from __future__ import annotations

from typing import Any

import pytest

from llm_mesh_flask import LLMMesh
from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware, Mesh, MeshSettings

every_adapter = pytest.mark.parametrize(
    "adapter", [LLMMeshMiddleware, LLMMeshWSGIMiddleware, LLMMesh]
)


@every_adapter
def test_an_option_that_does_not_exist_is_an_error(adapter: Any) -> None:
    with pytest.raises(TypeError, match="unexpected option 'authorise'; expected one of: att"):
        adapter(None, authorise=lambda scope: True)


@every_adapter
def test_a_mesh_leaves_no_use_for_manifests_beside_it(adapter: Any) -> None:
    mesh = Mesh([], settings=MeshSettings())
    with pytest.raises(TypeError, match="config is for a new mesh: give it to the Mesh"):
        adapter(None, mesh=mesh, config="mesh.yaml")


@every_adapter
def test_a_path_is_no_mesh(adapter: Any) -> None:
    with pytest.raises(TypeError, match="mesh must be a Mesh, not str; manifests are `config`"):
        adapter(None, mesh="mesh.yaml")


@pytest.mark.parametrize("name", ["attributes", "authorize"])
@pytest.mark.parametrize("adapter", [LLMMeshMiddleware, LLMMeshWSGIMiddleware])
def test_what_is_asked_about_requests_must_be_a_function(adapter: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a function .*, not dict"):
        adapter(None, **{name: {"plan": "free"}})

"""Servers of a pool, their load, and mirrors, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from tests.resilience.model_servers import ModelServer
from tests.resilience.test_pools import ask, write
from tests.view.browser import Browser, reason_to_skip, shown

_REASON = reason_to_skip()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_REASON), reason=_REASON)]


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(2)]


def test_servers_and_mirrors_are_shown(
    browser: Browser, tmp_path: Path, servers: list[ModelServer]
) -> None:
    for server in servers:
        server.says(waiting=7, running=3, cache=0.5)
    write(tmp_path / "mesh.yaml", servers, mirrors=[{"providerHost": "new.example"}])
    provider = {
        "apiVersion": "istio.alibabacloud.com/v1beta1",
        "kind": "LLMProvider",
        "metadata": {"name": "new"},
        "spec": {"host": "new.example", "endpoint": servers[0].upstream.url},
    }
    (tmp_path / "new.yaml").write_text(json.dumps(provider))
    mesh = Mesh(tmp_path, settings=MeshSettings())
    with shown(mesh) as port:
        browser.do("open", url=f"http://127.0.0.1:{port}/")
        browser.wait("#link-text", "live")
        assert browser.do("count", selector="#servers tbody tr") == 0
        with httpx.Client(transport=MeshTransport(mesh)) as client:
            assert set(ask(client, 6)) == {200}
        for text in (servers[0].address, servers[1].address, "healthy", "7", "50 %"):
            browser.wait("#servers tbody", text)
        browser.wait("#mirrors tbody tr", "qwen: main")
        browser.wait("#mirrors tbody tr", "100 %")
        browser.assert_well_behaved(f"http://127.0.0.1:{port}")
    mesh.close()

"""The OpenAI SDK for Node notices no difference either."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)
from tests.streams.conftest import Site
from tests.streams.sdk import COUNTS, LIMITED, bodies, called, streamed

NODE_CLIENT = Path(__file__).with_name("node_client.mjs")
NO_NODE = os.environ.get("TEST_WITH_NODE") != "1" or shutil.which("npm") is None


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and the SDK it imports."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(NODE_CLIENT, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "openai@6"]
    subprocess.run(install, cwd=folder, check=True, timeout=120)
    return folder


CUT_SHORT = [*chat_stream(["a"])[:2], 0.02]
NODE_USES: dict[str, Scripted] = {
    "whole": Answer(body=chat_completion("Hello", usage=COUNTS)),
    "stream": streamed,
    "stream_with_counts": streamed,
    "tools": called,
    "refused": Answer(400, LIMITED, error_body("No.", code="x")),
    "limited": Answer(429, LIMITED, error_body("Slow down.", code="x")),
    "error_event": Stream([*CUT_SHORT, b'data: {"error":{"message":"m","code":"busy"}}\n\n']),
}


def without_null_counts(members: dict[str, Any]) -> dict[str, Any]:
    """Asked for counts, a provider writes `"usage": null` into every event before them."""
    return {k: v for k, v in members.items() if (k, v) != ("usage", None)}


def node(folder: Path, use: str, port: int) -> Any:
    """What the client prints; its Host is the address, which Node does not let it change."""
    command = ["node", NODE_CLIENT.name, use, f"http://127.0.0.1:{port}/v1"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout, object_hook=without_null_counts)


@pytest.mark.skipif(NO_NODE, reason="wants TEST_WITH_NODE=1 and npm: it installs a package")
@pytest.mark.parametrize("name", NODE_USES)
def test_the_sdk_for_node_brings_the_same_through_the_mesh(
    site: Site, upstream: FakeUpstream, node_modules: Path, name: str
) -> None:
    found = []
    for port in (upstream.port, site.port()):
        upstream.clear()
        upstream.always(NODE_USES[name])
        found.append((node(node_modules, name, port), bodies(upstream)))
    assert found[1] == found[0]
    assert found[1][1]


@pytest.mark.skipif(NO_NODE, reason="wants TEST_WITH_NODE=1 and npm: it installs a package")
@pytest.mark.parametrize("end", ["done", "reset", "stall"])
def test_a_stream_that_is_cut_short_is_an_exception_in_node(
    site: Site, upstream: FakeUpstream, node_modules: Path, end: Any
) -> None:
    upstream.always(Stream(CUT_SHORT, end=end))
    found = node(node_modules, "stream", site.port(idle_timeout=0.1))
    assert found["error"]["code"] == "stream_interrupted"

"""Every tutorial, as a newcomer follows it, with a provider that needs neither key nor network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.canaries import canary
from tests.processes import ROOT
from tests.test_docs import read_blocks
from tests.tutorials.following import Tutorial

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
KEY = canary("tutorials")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("document", TUTORIALS, ids=lambda path: path.stem)
def test_a_newcomer_gets_a_routed_response(
    document: Path, tmp_path: Path, ca: CertificateAuthority, ca_file: str
) -> None:
    with FakeUpstream(host_names="api.openai.com", ca=ca, api_key=KEY) as openai:
        environ = {
            "OPENAI_API_KEY": KEY,
            "LLM_MESH_ENDPOINTS": json.dumps(openai.endpoints),
            "LLM_MESH_CA_FILE": ca_file,
        }
        with Tutorial(document, tmp_path, environ).follow() as answer:
            (request,) = openai.requests

    assert json.loads(answer) == {"model": "gpt-4.1", "answer": "You said: Hello"}
    assert request.json()["model"] == "gpt-4.1"  # that of the rule for subscribers


@pytest.mark.parametrize("document", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_serves_and_asks_once(document: Path) -> None:
    notes = [block.note for block in read_blocks(document)]

    assert (notes.count("serve"), notes.count("ask")) == (1, 1)

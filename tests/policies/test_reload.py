"""What limits and budgets have counted, after a reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, Limits, chat_completion, token_usage
from tests.resilience.meshes import PRIMARY, ask, key_of, provider, route

Write = Callable[..., None]
REQUESTS: dict[str, Any] = {"name": "requests", "requests": 3, "per": "1h"}
TOKENS: dict[str, Any] = {"name": "tokens", "tokens": 1000, "per": "1h", "reserve": "max"}
MONEY: dict[str, Any] = {"name": "money", "amount": 1000, "per": "year"}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(limits, budgets)`; the files are a folder's."""

    def write(*limits: dict[str, Any], budgets: tuple[dict[str, Any], ...] = ()) -> None:
        spec = {"limits": limits, "budgets": budgets}
        document = {
            "apiVersion": "llm-mesh.dev/v1alpha1",
            "kind": "LLMPolicy",
            "metadata": {"name": "team"},
            "spec": {name: items for name, items in spec.items() if items},
        }
        (tmp_path / "policy.yaml").write_bytes(msgspec.json.encode(document))

    return write


@pytest.fixture
async def started(tmp_path: Path, write: Write) -> Any:
    """`started()`: a mesh of the folder, its store and its provider."""
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        upstream.always(Answer(body=chat_completion("hello", usage=token_usage(20, 80))))
        prices = [{"perMillion": {"input": "0", "output": "1000000"}}]
        for document in (provider("primary", upstream, prices=prices), route(PRIMARY)):
            text = document.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True)
            (tmp_path / f"{document.kind}.yaml").write_text(text)
        write(REQUESTS, TOKENS, budgets=(MONEY,))
        limits = Limits()
        mesh = Mesh(tmp_path, settings=MeshSettings(reload_interval=0), store=limits.store)
        yield mesh, limits
        await mesh.aclose()
        mesh.close()


async def test_a_reload_keeps_the_state_of_unchanged_items(started: Any, write: Write) -> None:
    mesh, limits = started
    assert (await ask(mesh, max_tokens=100)).status == 200
    assert (await ask(mesh, max_tokens=100)).status == 200
    before = [limits.left(mesh, f"team/{name}") for name in ("requests", "tokens", "money")]
    assert before == [1, 800, 840]

    write(REQUESTS, {**TOKENS, "name": "renamed"}, budgets=(MONEY,))
    assert mesh.reload().state == "ok"

    after = [limits.left(mesh, f"team/{name}") for name in ("requests", "renamed", "money")]
    assert after == [1, 1000, 840]
    assert (await ask(mesh, max_tokens=100)).status == 200
    assert (await ask(mesh, max_tokens=100)).status == 429


async def test_a_limit_that_changes_keeps_the_share_that_is_left(
    started: Any, write: Write
) -> None:
    mesh, limits = started
    assert (await ask(mesh, max_tokens=100)).status == 200
    write({**REQUESTS, "requests": 6}, TOKENS, budgets=({**MONEY, "amount": 2000},))
    assert mesh.reload().state == "ok"
    assert limits.left(mesh, "team/requests") == 4  # of three, two were left
    assert limits.left(mesh, "team/money") == 2000 - 80  # of money, what was spent is known


async def test_an_item_that_comes_back_still_knows(started: Any, write: Write) -> None:
    mesh, limits = started
    assert (await ask(mesh, max_tokens=100)).status == 200
    write(TOKENS)
    assert mesh.reload().state == "ok"
    write(REQUESTS, TOKENS)
    assert mesh.reload().state == "ok"
    assert limits.left(mesh, "team/requests") == 2

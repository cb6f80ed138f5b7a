"""Both forms of a target on granian, which no other test of targets runs on."""

from __future__ import annotations

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.adapters.meshes import OWN_ANSWER
from tests.adapters.wire import Client, request_bytes
from tests.streams.conftest import Site, chat
from tests.streams.serving import KEY, PLAIN

SERVER = "granian"


TARGETS = (
    "/",
    "/v1/chat/completions",
    f"http://{PLAIN}/",
    f"HTTP://{PLAIN.upper()}:80/v1/chat/completions?y=//z/",
)


@pytest.mark.parametrize("target", TARGETS)
def test_both_forms_of_a_target_reach_the_provider(
    site: Site, upstream: FakeUpstream, target: str
) -> None:
    with Client(site.port(SERVER)) as client:
        assert client.ask(chat(target=target)).status == 200
    (request,) = upstream.requests
    assert request.header("authorization") == f"Bearer {KEY}"
    assert request.target == "/v1/chat/completions"


def test_an_absolute_target_on_a_foreign_host_is_never_fetched(
    site: Site, upstream: FakeUpstream
) -> None:
    with FakeUpstream(tls=False) as stranger, Client(site.port(SERVER)) as client:
        target = f"{stranger.url}/v1/chat/completions"
        answer = client.ask(request_bytes(f"127.0.0.2:{stranger.port}", target=target))
        assert answer.status >= 400 or answer.body == OWN_ANSWER
        assert stranger.accepted_connections == 0
    assert not upstream.requests

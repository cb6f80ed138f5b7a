"""The view over HTTP: who gets what, and that nothing secret is in any byte."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from llm_mesh_middleware.testing import Answer, error_body
from llm_mesh_middleware.view import MeshView
from tests.canaries import canary, leaks
from tests.conftest import Serve
from tests.processes import ROOT
from tests.view.conftest import HOST, PATH, Watched

PATHS = ("/", "/view.css", "/view.js", "/snapshot.json", "/events", "/nothing")


def yes(scope: object) -> bool:
    return True


@pytest.fixture
def view(watched: Watched, serve: Serve) -> Iterator[httpx.Client]:
    app = MeshView(watched.mesh, authorize=yes)
    port = serve(app)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
        yield client


def first_events(client: httpx.Client, count: int, **headers: str) -> list[dict[str, Any]]:
    """The first events of the stream; the viewer then leaves."""
    found: list[dict[str, Any]] = []
    named: dict[str, str] = {}
    with client.stream("GET", "/events", headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream"
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                named[name] = value
            elif "data" in named:
                found.append({**named, "data": json.loads(named["data"])})
                named = {}
                if len(found) == count:
                    return found
    return found


def explain(client: httpx.Client, **form: object) -> httpx.Response:
    origin = str(client.base_url).rstrip("/")
    return client.post("/explain", json=form, headers={"origin": origin})


def test_it_is_not_made_without_authorize(watched: Watched) -> None:
    with pytest.raises(TypeError, match="authorize"):
        MeshView(watched.mesh)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="authorize"):
        MeshView(watched.mesh, authorize=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="authorize"):
        MeshView(watched.mesh, authorize=True)  # type: ignore[arg-type]


async def _async_no(scope: object) -> bool:
    return False


async def _async_one(scope: object) -> int:
    return 1


@pytest.mark.parametrize(
    "no", [lambda scope: False, lambda scope: None, lambda scope: 1, _async_no, _async_one]
)
def test_whoever_is_not_admitted_gets_nothing(watched: Watched, serve: Serve, no: Any) -> None:
    port = serve(MeshView(watched.mesh, authorize=no))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        responses = [client.get(path) for path in PATHS]
    assert {(each.status_code, each.text) for each in responses} == {
        (403, "not authorised to see this mesh")
    }


def test_an_awaitable_yes_admits(watched: Watched, serve: Serve) -> None:
    async def asked(scope: Any) -> bool:
        await asyncio.sleep(0)
        return dict(scope["headers"]).get(b"cookie") == b"session=good"

    port = serve(MeshView(watched.mesh, authorize=asked))
    url = f"http://127.0.0.1:{port}/snapshot.json"
    assert httpx.get(url, trust_env=False).status_code == 403
    assert httpx.get(url, headers={"cookie": "session=good"}, trust_env=False).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_name_is_refused(view: httpx.Client, host: str) -> None:
    for path in PATHS:
        assert view.get(path, headers={"host": host}).status_code == 421, path


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:9"])
def test_names_of_this_machine_are_served(view: httpx.Client, host: str) -> None:
    assert view.get("/snapshot.json", headers={"host": host}).status_code == 200


def test_configured_names_are_served_and_no_others(watched: Watched, serve: Serve) -> None:
    port = serve(MeshView(watched.mesh, authorize=yes, hosts=["Ops.example"]))
    url = f"http://127.0.0.1:{port}/snapshot.json"
    assert httpx.get(url, trust_env=False).status_code == 421
    assert httpx.get(url, headers={"host": "ops.example"}, trust_env=False).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_pages_are_got_and_nothing_else(view: httpx.Client, method: str) -> None:
    for path in PATHS:
        response = view.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, "GET"), path


def test_explain_is_posted_and_nothing_else(view: httpx.Client) -> None:
    assert view.get("/explain").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "{own}", "sec-fetch-site": "cross-site"},
        {"origin": "{own}", "sec-fetch-site": "same-site"},
    ],
)
def test_explain_is_refused_to_other_origins(view: httpx.Client, headers: dict[str, str]) -> None:
    own = str(view.base_url).rstrip("/")
    sent = {name: value.replace("{own}", own) for name, value in headers.items()}
    assert view.post("/explain", json={"host": HOST}, headers=sent).status_code == 403


def test_every_reply_has_the_headers_that_confine_it(view: httpx.Client) -> None:
    for path in ("/", "/view.js", "/snapshot.json", "/nothing"):
        headers = view.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_events_are_a_snapshot_and_then_a_diff_a_second(
    view: httpx.Client, watched: Watched
) -> None:
    watched.call()
    first, second = first_events(view, 2)
    assert (first["event"], second["event"]) == ("snapshot", "diff")
    assert first["data"]["hosts"][HOST]["route"] == f"route-of-{HOST}"
    assert second["data"]["second"] == first["data"]["second"] + 1


def test_events_go_on_after_the_last_id(view: httpx.Client) -> None:
    first, second = first_events(view, 2)
    [again] = first_events(view, 1, **{"last-event-id": first["id"]})
    assert (again["id"], again["event"]) == (second["id"], "diff")


def test_an_unknown_last_id_begins_with_a_snapshot(view: httpx.Client) -> None:
    [event] = first_events(view, 1, **{"last-event-id": "from-before-a-restart-7"})
    assert event["event"] == "snapshot"


def test_fifty_viewers_see_the_same_calls(watched: Watched, serve: Serve) -> None:
    port = serve(MeshView(watched.mesh, authorize=yes))

    async def look(client: httpx.AsyncClient) -> str:
        async with client.stream("GET", "/events") as response:
            async for line in response.aiter_lines():
                if line.startswith("event: diff"):
                    return line
        return ""

    async def look_all() -> list[str]:
        limits = httpx.Limits(max_connections=60)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:
            return await asyncio.gather(*(look(client) for _ in range(50)))

    assert asyncio.run(look_all()) == ["event: diff"] * 50


def test_it_can_be_mounted_below_a_path(watched: Watched, serve: Serve) -> None:
    app = Starlette(routes=[Mount("/ops/mesh", MeshView(watched.mesh, authorize=yes))])
    port = serve(app)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.get("/ops/mesh", follow_redirects=True).url.path == "/ops/mesh/"
        assert "view.js" in client.get("/ops/mesh/").text
        assert client.get("/ops/mesh/snapshot.json").json()["workers"] == 1


def test_the_form_explains_and_gives_texts_to_copy(view: httpx.Client) -> None:
    told = explain(
        view,
        host=HOST,
        path=PATH,
        headers=[["User-Type", "vip"]],
        attributes={"plan": "pro"},
        body='{"messages": []}',
    ).json()
    assert told["explanation"]["rule"] == "vip"
    assert "selected" in told["text"]
    copies = told["copies"]
    assert "-H 'user-type: vip'" in copies["curl"]
    assert copies["command"].startswith("llm-mesh explain --host llm.example")
    assert "--attribute plan=pro" in copies["command"]
    assert "assert explained.rule == 'vip'" in copies["pytest"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"host": 7},
        {"host": HOST, "headers": [["a"]]},
        {"host": HOST, "headers": [["ä", "b"]]},
        {"host": HOST, "headers": [["a", "漢"]]},
        {"host": HOST, "more": 1},
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_refused(
    view: httpx.Client, form: dict[str, object]
) -> None:
    assert explain(view, **form).status_code == 400


def test_a_request_to_explain_is_limited(view: httpx.Client) -> None:
    assert explain(view, host=HOST, body="x" * 70_000).status_code == 413


def test_a_refused_request_is_explained_too(view: httpx.Client) -> None:
    told = explain(view, host="nowhere.example", path=PATH).json()
    assert told["explanation"]["refusal"]["code"] == "route_not_found"
    assert "assert explained.refusal.code == 'route_not_found'" in told["copies"]["pytest"]


def test_no_key_prompt_or_answer_is_in_any_byte(view: httpx.Client, watched: Watched) -> None:
    key, prompt = canary("view a"), canary("a prompt")
    watched.call(prompt)
    watched.call(prompt, stream=True, model=key, headers={"user-type": key})
    watched.a.always(Answer(401, [("x-request-id", key)], error_body(key, code=key)))
    watched.call(prompt, headers={"user-type": "vip", "authorization": f"Bearer {key}"})
    seen = [view.get(path).content for path in ("/", "/view.js", "/snapshot.json")]
    seen += [json.dumps(event).encode() for event in first_events(view, 2)]
    seen.append(explain(view, host=HOST, path=PATH, headers=[["authorization", key]]).content)
    for data in seen:
        assert leaks(data) == set()
        assert b"You said" not in data


@pytest.mark.slow
def test_it_is_not_imported_unless_it_is_used() -> None:
    code = (
        "import sys, llm_mesh_middleware, llm_mesh_middleware.asgi, llm_mesh_middleware.cli.serve;"
        "print([m for m in sys.modules if m.startswith('llm_mesh_middleware.view')])"
    )
    environ = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout == "[]\n"

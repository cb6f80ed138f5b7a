"""Which provider answers, and what it is asked: the same through every adapter."""

from __future__ import annotations

import json
from itertools import cycle

import pytest

from llm_mesh_middleware.testing import Answer
from tests.canaries import canary, leaks
from tests.contract.adapters import OWN_ANSWER
from tests.contract.calling import HOST, QUESTION
from tests.contract.conftest import World, rule
from tests.resilience.meshes import FALLBACK, PRIMARY, key_of

TO_FALLBACK = {"providerHost": "fallback.example"}


def header(name: str, **test: object) -> dict[str, object]:
    return {"headers": {name: test}}


@pytest.mark.parametrize(
    ("matches", "headers", "provider"),
    [
        ([header("user-type", exact="subscriber")], [("user-type", "subscriber")], "fallback"),
        ([header("user-type", exact="subscriber")], [("user-type", "guest")], "primary"),
        ([header("user-type", exact="subscriber")], [], "primary"),
        ([header("user-type", exact="subscriber")], [("User-Type", "subscriber")], "fallback"),
        ([header("team", prefix="blue-")], [("team", "blue-7")], "fallback"),
        ([header("team", prefix="blue-")], [("team", "red-blue-")], "primary"),
        ([header("team", regex="blue|green")], [("team", "green")], "fallback"),
        ([header("team", regex="blue|green")], [("team", "greenish")], "primary"),
        ([header("team")], [("team", "")], "fallback"),
        ([{"headers": {"a": {}, "b": {}}}], [("a", "1")], "primary"),
        ([header("a"), header("b")], [("b", "1")], "fallback"),
        ([{"path": {"prefix": "/v2"}}], [], "primary"),
        ([{"method": {"exact": "POST"}}], [], "fallback"),
    ],
)
def test_the_first_rule_that_matches_takes_the_request(
    world: World, matches: list[object], headers: list[tuple[str, str]], provider: str
) -> None:
    world.start(rule("special", TO_FALLBACK, matches=matches), rule("rest"))
    answer = world.ask(headers=headers)
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, provider)
    assert answer.headers["x-llm-mesh-rule"] == ("special" if provider == "fallback" else "rest")


def test_a_rule_may_look_at_the_model(world: World) -> None:
    world.start(rule("big", TO_FALLBACK, matches=[{"model": {"prefix": "big-"}}]), rule("rest"))
    assert world.ask(QUESTION | {"model": "big-1"}).headers["x-llm-mesh-rule"] == "big"
    assert world.ask(QUESTION | {"model": "small"}).headers["x-llm-mesh-rule"] == "rest"


def test_no_matching_rule_is_404(world: World) -> None:
    world.start(rule("special", matches=[header("absent")]))
    answer = world.ask()
    assert (answer.status, answer.code) == (404, "route_not_found")
    assert f"to '{HOST}'" in answer.json()["error"]["message"]
    assert not world.primary.requests


def test_a_host_without_a_matching_rule_is_logged_once_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.start(rule("special", matches=[header("absent")]))
    with caplog.at_level("WARNING", "llm_mesh_middleware"):
        statuses = [world.ask().status for _ in range(3)]
    assert statuses == [404] * 3
    logged = [record.getMessage() for record in caplog.records if "no rule" in record.getMessage()]
    assert logged == [
        f"no rule of route 'chat' matches this request to '{HOST}'; `llm-mesh explain` says why"
    ]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
def test_no_browser_guesses_what_a_reply_is(world: World, path: str) -> None:
    world.start()
    assert world.ask(path=path).headers["x-content-type-options"] == "nosniff"


def test_weights_are_proportions(world: World) -> None:
    numbers = cycle((0.0, 0.74, 0.76, 0.99))
    world.start(
        rule("split", {**PRIMARY, "weight": 3}, {**TO_FALLBACK, "weight": 1}),
        rng=lambda: next(numbers),
    )
    providers = [world.ask().headers["x-llm-mesh-provider"] for _ in range(4)]
    assert providers == ["primary", "primary", "fallback", "fallback"]


def test_a_provider_without_a_route_is_called_directly(world: World) -> None:
    world.start()
    answer = world.ask(host="fallback.example")
    assert (answer.status, answer.headers["x-llm-mesh-provider"]) == (200, "fallback")


@pytest.mark.parametrize("host", ["LLM", "llm:80", "llm.", "llm.default.svc.cluster.local"])
def test_a_host_is_known_in_all_its_spellings(world: World, host: str) -> None:
    world.start()
    assert world.ask(host=host).headers["x-llm-mesh-provider"] == "primary"


@pytest.mark.inbound
@pytest.mark.parametrize("host", ["llm.evil.example", "evil-llm", "other.example"])
def test_other_hosts_reach_the_application(world: World, host: str) -> None:
    world.start()
    answer = world.ask(host=host)
    assert (answer.status, answer.body) == (200, OWN_ANSWER)
    assert not world.primary.requests


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", "/", "/primary/v1/chat/completions"),
        ("POST", "/any/v1/chat/completions", "/primary/v1/chat/completions"),
        ("POST", "/v1/completions", "/primary/v1/completions"),
        ("POST", "/v1/embeddings", "/primary/v1/embeddings"),
        ("POST", "/v1/responses", "/primary/v1/responses"),
        ("POST", "/v1/chat/completions/", "/primary/v1/chat/completions"),
    ],
)
def test_each_operation_has_its_path_at_the_provider(
    world: World, method: str, path: str, target: str
) -> None:
    world.start()
    assert (
        world.ask(
            QUESTION | {"model": "m", "input": "Good morning"}, method=method, path=path
        ).status
        == 200
    )
    (request,) = world.primary.requests
    assert (request.method, request.path) == (method, target)


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/any/v1/models/"])
def test_models_are_listed_from_the_configuration(world: World, path: str) -> None:
    world.start()
    answer = world.ask(method="GET", path=path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert [model["id"] for model in json.loads(answer.body)["data"]] == ["primary-model"]
    assert not world.primary.requests


def test_an_unknown_path_is_404(world: World) -> None:
    world.start()
    answer = world.ask(path="/v1/files")
    assert (answer.status, answer.code) == (404, "unsupported_operation")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_405_and_told_which_are_allowed(world: World, method: str) -> None:
    world.start()
    answer = world.ask(method=method)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_only_what_the_configuration_sets_differs_in_the_body(world: World) -> None:
    body = b'{"messages":[{"role":"user","content":"\\u00e9"}],"seed":1.0,"big":123456789012345678}'
    world.start()
    world.ask(body)
    (request,) = world.primary.requests
    assert request.body.startswith(body[:-1])
    assert request.json()["model"] == "primary-model"
    assert b'"seed":1.0,' in request.body


def test_the_key_is_the_providers_and_the_clients_secrets_stay(world: World) -> None:
    secrets = [
        ("authorization", f"Bearer {canary('of-the-client')}"),
        ("x-api-key", canary("of-the-client")),
        ("cookie", "session=of-the-client"),
        ("proxy-authorization", "Basic b2YtdGhlLWNsaWVudA=="),
        ("x-forwarded-host", "of-the-client.example"),
        ("x-request-id", "passes"),
    ]
    world.start(access="open")
    assert world.ask(headers=secrets).status == 200
    (request,) = world.primary.requests
    assert request.header("authorization") == f"Bearer {key_of('primary')}"
    assert request.header("host") == "primary.example"
    assert request.header("x-request-id") == "passes"
    assert "of-the-client" not in str(request.headers)
    assert "of-the-client" not in leaks(str(request.headers))


def test_an_answer_tells_where_it_comes_from_unless_that_is_switched_off(world: World) -> None:
    world.start()
    told = world.ask().headers
    assert [told[f"x-llm-mesh-{name}"] for name in ("route", "model", "attempts")] == [
        "chat",
        "primary-model",
        "1",
    ]


def test_an_answer_need_not_tell_where_it_comes_from(world: World) -> None:
    world.start(response_headers=False)
    assert not [name for name in world.ask().headers if name.startswith("x-llm-mesh-")]


def test_a_backend_may_name_the_model(world: World) -> None:
    world.start(rule("only", {**PRIMARY, "model": "special-model"}))
    assert world.ask().headers["x-llm-mesh-model"] == "special-model"
    assert world.primary.requests[0].json()["model"] == "special-model"


def test_a_sticky_value_keeps_its_backend(world: World) -> None:
    world.start(rule("split", PRIMARY, TO_FALLBACK, stickyBy={"header": "user"}))
    for user in ("one", "two", "three"):
        seen = {world.ask(headers=[("user", user)]).headers["x-llm-mesh-provider"] for _ in "abc"}
        assert len(seen) == 1


@pytest.mark.inbound
def test_the_applications_own_facts_decide(world: World) -> None:
    tiers = rule("pro", TO_FALLBACK, matches=[{"attributes": {"plan": {"exact": "pro"}}}])
    world.start(tiers, rule("rest"), words={"attributes": lambda request: {"plan": "pro"}})
    assert world.ask().headers["x-llm-mesh-rule"] == "pro"


def test_a_header_is_no_attribute(world: World) -> None:
    tiers = rule("pro", TO_FALLBACK, matches=[{"attributes": {"plan": {"exact": "pro"}}}])
    world.start(tiers, rule("rest"))
    assert world.ask(headers=[("plan", "pro")]).headers["x-llm-mesh-rule"] == "rest"


def test_a_whole_answer_is_the_providers_byte_for_byte(world: World) -> None:
    body = json.dumps({"choices": [], "odd": [1.0, 1e-7], "z": "\u00e9"}, indent=3)
    headers = [("content-type", "application/json"), ("x-request-id", "r-1")]
    world.primary.script(Answer(200, headers, body))
    world.start()
    answer = world.ask()
    assert answer.body == body.encode()
    assert answer.headers["x-request-id"] == "r-1"


def test_two_priorities_are_one_route(world: World) -> None:
    world.start(rule("only", PRIMARY, FALLBACK))
    assert [world.ask().headers["x-llm-mesh-provider"] for _ in "ab"] == ["primary"] * 2

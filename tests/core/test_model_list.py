"""Questions about models are answered from the configuration, in the form of the client."""

from __future__ import annotations

import json

import pytest

from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware.exceptions import (
    MethodNotAllowed,
    ModelNotFound,
    RequestError,
    UnsupportedOperation,
)
from tests.core.scripted import play
from tests.core.tables import ACME, GLOBEX, provider, request, route, table
from tests.rows import rows

TO_ACME, TO_BOTH = (
    f"backendRefs: [{{providerHost: {ACME}}}]",
    f"backendRefs: [{{providerHost: {ACME}, weight: 1}}, {{providerHost: {GLOBEX}, weight: 1}}]",
)
ANTHROPIC = "anthropic-version:2023-06-01"


def asked(
    routes: RoutingTable, *fields: str, path: str = "/v1/models", method: str = "GET", **facts: str
) -> dict[str, object]:
    """The reply to a client, which no provider was asked for."""
    performed = play(
        routes, request(*fields, method=method, path=path, body="", attributes=facts), host="chat"
    )
    if performed.error is not None:
        raise performed.error
    assert performed.taken == []
    assert performed.reply is not None
    assert (performed.reply.status, performed.reply.is_stream) == (200, False)
    answer: dict[str, object] = json.loads(performed.reply.body)
    return answer


def ids(answer: dict[str, object]) -> list[str]:
    return [model["id"] for model in answer["data"]]  # type: ignore[attr-defined]


FIXED, MAPPED = "{model: fixed}", "{modelMapping: {large: l-1, small: s-1}}"
RULES = {
    "the configured model": (f"- {{{TO_ACME}}}", FIXED, ["fixed"]),
    "the names that are mapped": (f"- {{{TO_ACME}}}", MAPPED, ["large", "small"]),
    "the model of a backendRef": (
        f"- backendRefs: [{{providerHost: {ACME}, model: own}}]",
        FIXED,
        ["own"],
    ),
    "the models that rules want": (
        f"- {{matches: [{{model: {{exact: a}}}}, {{model: {{exact: b}}}}], {TO_ACME}}}\n"
        f"- {{{TO_ACME}}}",
        FIXED,
        ["a", "b", "fixed"],
    ),
    "the mapped names that a prefix allows": (
        f"- {{matches: [{{model: {{prefix: l}}}}], {TO_ACME}}}",
        MAPPED,
        ["large"],
    ),
    "the mapped names that a pattern allows": (
        f"- {{matches: [{{model: {{regex: '.*ll'}}}}], {TO_ACME}}}",
        MAPPED,
        ["small"],
    ),
    "each name once": (
        f"- {{matches: [{{model: {{exact: fixed}}}}], {TO_ACME}}}\n- {{{TO_BOTH}}}",
        FIXED,
        ["fixed", "other"],
    ),
    "nothing behind a rule that takes everything": (
        f"- {{{TO_ACME}}}\n- {{matches: [{{model: {{exact: never}}}}], {TO_ACME}}}",
        FIXED,
        ["fixed"],
    ),
}


@rows("name", RULES)
def test_the_list_has(name: str) -> None:
    rules, openai, wanted = RULES[name]
    routes = table(provider(openai=openai), provider(GLOBEX, "{model: other}"), route(rules))
    assert ids(asked(routes)) == wanted


def test_the_list_is_that_of_the_client() -> None:
    rules = f"""
    - matches: [{{headers: {{tier: {{exact: gold}}}}}}]
      backendRefs: [{{providerHost: {ACME}, model: best}}]
    - matches: [{{attributes: {{plan: {{exact: pro}}}}}}]
      backendRefs: [{{providerHost: {ACME}, model: good}}]
    - matches: [{{path: {{exact: /v1/chat/completions}}}}]
      backendRefs: [{{providerHost: {ACME}, model: plain}}]
    """
    routes = table(provider(), route(rules))
    assert ids(asked(routes, "tier:gold")) == ["best"]
    assert ids(asked(routes, plan="pro")) == ["good"]
    assert ids(asked(routes)) == ["plain"]


def test_the_list_has_the_form_of_the_client() -> None:
    routes = table(provider(openai=MAPPED), route(f"- {{{TO_ACME}}}"))
    model = {"id": "large", "object": "model", "created": 0, "owned_by": "llm-mesh"}
    listed = asked(routes)
    assert (listed["object"], listed["data"][0]) == ("list", model)  # type: ignore[index]
    assert asked(routes, path="/v1/models/large") == model
    listed = asked(routes, ANTHROPIC)
    assert (listed["first_id"], listed["last_id"]) == ("large", "small")
    assert listed["has_more"] is False
    model = asked(routes, ANTHROPIC, path="/v1/models/large")
    assert (model["type"], model["id"], model["display_name"]) == ("model", "large", "large")
    assert listed["data"][0] == model  # type: ignore[index]


@rows("path", ["/v1/models/org/m-1", "/models/org%2Fm-1", "/v1/models/org/m-1/"])
def test_a_model_may_have_a_slash_in_its_name(path: str) -> None:
    routes = table(provider(openai="{model: org/m-1}"), route(f"- {{{TO_ACME}}}"))
    assert asked(routes, path=path)["id"] == "org/m-1"


@rows("path", ["/v1/models/other", "/v1/models/FIXED", "/v1/models/fixed%00"])
def test_a_model_that_no_rule_knows_is_not_found(path: str) -> None:
    routes = table(provider(openai=FIXED), route(f"- {{{TO_ACME}}}"))
    with pytest.raises(ModelNotFound) as caught:
        asked(routes, path=path)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@rows(
    ("path", "method", "error"),
    [
        ("/v1/models", "POST", MethodNotAllowed),
        ("/v1/models/fixed", "DELETE", MethodNotAllowed),
        ("/v1/models/fixed", "PATCH", MethodNotAllowed),
    ],
)
def test_models_are_only_read(path: str, method: str, error: type[RequestError]) -> None:
    routes = table(provider(openai=FIXED), route(f"- {{{TO_ACME}}}"))
    with pytest.raises(error):
        asked(routes, path=path, method=method)


def test_head_has_the_fields_of_get_and_no_body() -> None:
    routes = table(provider(openai=FIXED), route(f"- {{{TO_ACME}}}"))
    replies = [
        play(routes, request(method=method, path="/v1/models", body=""), host="chat").reply
        for method in ("GET", "HEAD")
    ]
    assert replies[0] is not None
    assert replies[1] is not None
    assert replies[0].headers == replies[1].headers
    assert (bool(replies[0].body), replies[1].body) == (True, b"")


def test_one_provider_that_takes_any_model_is_asked_for_its_own() -> None:
    routes = table(provider(), route(f"- {{{TO_ACME}}}"))
    performed = play(routes, request(method="GET", path="/v1/models", body=""), host="chat")
    assert performed.sent.target == "/v1/models"
    with pytest.raises(UnsupportedOperation):
        asked(routes, path="/v1/models/any")


def test_of_several_providers_that_take_any_model_none_is_asked() -> None:
    routes = table(provider(), provider(GLOBEX), route(f"- {{{TO_BOTH}}}"))
    assert ids(asked(routes)) == []

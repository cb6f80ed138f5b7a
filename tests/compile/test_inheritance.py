"""`routeSpecificConfigs`: what a rule's own configuration sets, and what it inherits."""

from __future__ import annotations

import json

from tests.core.scripted import sent
from tests.core.tables import ACME, GLOBEX, provider, request, route, table
from tests.rows import rows

VIP, ANY = "vip", "any"
DEFAULT = (
    "{model: d, stream: false, apiKey: key-default, headers: {x-a: d, x-b: d},"
    " defaults: {top_p: 0.5, n: 1}}"
)

# The rule's openAIConfig and what it changes of the request upstream.
SPECIFIC = [
    ("{}", {}),
    ("null", {}),
    ("{model: v}", {"model": "v"}),
    ("{model: null}", {}),
    ("{stream: true}", {"stream": True, "stream_options": {"include_usage": True}}),
    ("{stream: null}", {}),
    ("{stream: true, streamUsage: false}", {"stream": True}),
    ("{apiKey: key-vip}", {"authorization": "Bearer key-vip"}),
    ("{apiKeyFrom: {env: KEY}}", {"authorization": "Bearer key-env"}),
    ("{headers: {x-a: v}}", {"x-a": "v", "x-b": None}),
    ("{headers: {}}", {"x-a": None, "x-b": None}),
    ("{defaults: {n: 2}}", {"n": 2, "top_p": None}),
    ("{defaults: {}}", {"n": None, "top_p": None}),
    (
        "{model: v, apiKey: key-vip, headers: {x-c: v}}",
        {"model": "v", "authorization": "Bearer key-vip", "x-a": None, "x-b": None, "x-c": "v"},
    ),
]
INHERITED = {
    "model": "d",
    "stream": False,
    "authorization": "Bearer key-default",
    "x-a": "d",
    "x-b": "d",
    "top_p": 0.5,
    "n": 1,
}


def made_by(default: str, specific: str, *fields: str, body: str = "{}") -> dict[str, object]:
    """The fields and members of a request upstream; rule `vip` takes it if it has a field `vip`."""
    ref = f"backendRefs: [{{providerHost: {ACME}}}]"
    rules = f"- {{name: {VIP}, matches: [{{headers: {{vip: {{}}}}}}], {ref}}}\n- {{{ref}}}"
    made = sent(
        table(
            provider(openai=default, specific=f"{{{VIP}: {{openAIConfig: {specific}}}}}"),
            route(rules),
            environ={"KEY": "key-env"},
        ),
        request(*fields, body=body),
    )
    fixed = ("host", "content-type", "accept-encoding")
    headers = {name.decode(): value.decode() for name, value in made.headers}
    return {k: v for k, v in headers.items() if k not in fixed} | json.loads(made.body)


@rows(("specific", "changed"), SPECIFIC)
def test_a_rule_inherits_what_its_own_configuration_leaves_unset(
    specific: str, changed: dict[str, object]
) -> None:
    wanted = {k: v for k, v in (INHERITED | changed).items() if v is not None}
    assert made_by(DEFAULT, specific, "vip: 1") == wanted
    assert made_by(DEFAULT, specific) == INHERITED


def test_a_key_and_where_it_comes_from_are_one_field() -> None:
    made = made_by("{apiKeyFrom: {env: KEY}}", "{apiKey: key-vip}", "vip: 1")
    assert made["authorization"] == "Bearer key-vip"
    made = made_by("{apiKeyFrom: {env: KEY}}", "{model: v}", "vip: 1")
    assert made["authorization"] == "Bearer key-env"


def test_an_inherited_mapping_gives_way_to_a_model_of_the_rule() -> None:
    body = '{"model": "a"}'
    mapping = "{modelMapping: {a: b}}"
    assert made_by(mapping, "{}", "vip: 1", body=body) == {"model": "b"}
    assert made_by(mapping, "{model: v}", "vip: 1", body=body) == {"model": "v"}
    assert made_by(mapping, "{modelMapping: {a: c}}", "vip: 1", body=body) == {"model": "c"}
    assert made_by(mapping, "{modelMapping: {}}", "vip: 1", body=body) == {"model": "a"}


def test_a_provider_without_a_default_configuration_may_have_specific_ones() -> None:
    assert made_by("null", "{model: v, apiKey: key-vip}", "vip: 1") == {
        "model": "v",
        "authorization": "Bearer key-vip",
    }
    assert made_by("null", "{model: v, apiKey: key-vip}") == {}


def test_a_rule_without_a_name_or_with_another_takes_the_default() -> None:
    ref = f"backendRefs: [{{providerHost: {ACME}}}]"
    documents = [
        provider(openai="{model: d}", specific="{vip: {openAIConfig: {model: v}}}"),
        route(f"- {{name: Vip, {ref}}}", "one", name="one"),
        route(f"- {{{ref}}}", "two", name="two"),
        route(f"- {{name: vip, {ref}}}", "three", name="three"),
    ]
    routes = table(*documents)
    models = [json.loads(sent(routes, request(), host=h).body) for h in ("one", "two", "three")]
    assert [made["model"] for made in models] == ["d", "d", "v"]


def test_a_specific_configuration_is_that_of_the_rules_own_provider() -> None:
    specific = "{vip: {openAIConfig: {model: v}}}"
    rules = f"- {{name: vip, backendRefs: [{{providerHost: {GLOBEX}}}]}}"
    routes = table(provider(specific=specific), provider(GLOBEX, "{model: g}"), route(rules))
    assert sent(routes, request()).body == b'{"model":"g"}'


def test_a_provider_that_is_called_directly_has_its_default_configuration() -> None:
    routes = table(
        provider(openai="{model: d}", specific="{default: {openAIConfig: {model: v}}}"),
        route(f"- {{name: default, backendRefs: [{{providerHost: {ACME}}}]}}"),
    )
    assert sent(routes, request(), host=ACME).body == b'{"model":"d"}'
    assert sent(routes, request()).body == b'{"model":"v"}'


def test_the_model_of_a_backend_goes_before_that_of_its_rule() -> None:
    routes = table(
        provider(openai="{model: d}", specific="{vip: {openAIConfig: {model: v}}}"),
        route(f"- {{name: vip, backendRefs: [{{providerHost: {ACME}, model: b}}]}}"),
    )
    assert sent(routes, request()).body == b'{"model":"b"}'

"""The JSON Schema of the documents: what editors and Kubernetes are told of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from llm_mesh_middleware.config import LLMProvider, LLMRoute, json_schema
from tests.config.documents import config, match, parse, provider, route, rules
from tests.config.schema_check import faults
from tests.conftest import MANIFESTS
from tests.rows import rows

OURS = ("LLMProvider", "LLMRoute")
BACKEND = "backendRefs: [{providerHost: a}]"


def documents() -> Iterator[Any]:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            if document["kind"] in OURS:
                yield pytest.param(document, id=f"{path.name} {document['kind']}")


@cache
def schema_of(model: type[LLMProvider] | type[LLMRoute] | None = None) -> Any:
    return json_schema(model)


def found(text: str) -> list[str]:
    schema = schema_of()
    return list(faults(yaml.safe_load(text), schema, schema))


@rows("document", list(documents()))
def test_the_six_manifests_fit_the_schema(document: Any) -> None:
    either = schema_of()
    own = schema_of({"LLMRoute": LLMRoute}.get(document["kind"], LLMProvider))
    assert list(faults(document, either, either)) == []
    assert list(faults(document, own, own)) == []


GOOD = {
    "every openAIConfig": config(
        "model: a\nstream: false\nstreamUsage: true\napiKeyFrom: {env: KEY}\n"
        "modelMapping: {a: b}\ndefaults: {temperature: 0.2, stop: [a]}\nheaders: {x-org: b}"
    ),
    "an extended provider": provider(
        "host: a\nendpoint: http://b\nmaxConcurrency: 5\ntls: {serverName: c}\n"
        "workloadSelector: {labels: {app: web}}\n"
        "outlierDetection: {interval: 30s, halfOpenRequests: 2}"
    ),
    "an extended match": match(
        "headers: {a: {exact: b}, c: {}}\nmodel: {regex: x.*}\n"
        "sourceLabels: {a: b}\ngateways: [mesh]"
    ),
    "an extended rule": rules(
        f"- {BACKEND}\n  name: a\n  stickyBy: {{header: b}}\n"
        "  timeouts: {connect: 250ms, idle: 5}\n"
        "  retry: {attempts: 0, codes: [429, server_error], backoff: 1m30s}"
    ),
    "nulls": provider("host: a\nendpoint:\ntls:\nconfigs: {defaultConfig: {openAIConfig: }}"),
    "other metadata": provider("host: a").replace("name: acme", "name: acme\n  labels: {a: b}"),
}
BAD = {
    "an unknown field": config("modle: a"),
    "no host": provider("path: /v1"),
    "a number for a string": config("model: 5"),
    "two tests": match("headers: {a: {exact: b, prefix: c}}"),
    "a negative weight": rules("- backendRefs: [{providerHost: a, weight: -1}]"),
    "no rules": route("host: a\nrules: []"),
    "no backends": rules("- backendRefs: []"),
    "an odd duration": rules(f"- {BACKEND}\n  timeouts: {{idle: 5 seconds}}"),
    "no duration": rules(f"- {BACKEND}\n  timeouts: {{idle: 0}}"),
    "another kind": provider("host: a").replace("kind: LLMProvider", "kind: LLMProvder"),
    "another version": provider("host: a").replace("v1beta1", "v2"),
    "no metadata": provider("host: a").replace("metadata:\n  name: acme\n", ""),
}


@rows("text", GOOD.values(), ids=GOOD)
def test_what_the_models_take_fits(text: str) -> None:
    assert parse(text, {"KEY": "k"}).problems == ()
    assert found(text) == []


@rows("text", BAD.values(), ids=BAD)
def test_what_the_models_refuse_does_not_fit(text: str) -> None:
    assert parse(text).problems
    assert found(text) != []


@rows("model", [LLMProvider, LLMRoute, None])
def test_a_schema_names_its_dialect_and_describes_every_field(
    model: type[LLMProvider] | type[LLMRoute] | None,
) -> None:
    schema = schema_of(model)
    assert schema["$schema"].endswith("/2020-12/schema")
    objects = [schema, *schema["$defs"].values()]
    fields = [field for one in objects for field in one.get("properties", {}).items()]
    assert len(fields) > 20
    assert [name for name, field in fields if not field.get("description")] == []
    assert [name for name, field in fields if "title" in field] == []


def test_only_plain_defaults_are_told() -> None:
    schema = schema_of()
    given = {
        field["default"]
        for one in schema["$defs"].values()
        for field in one.get("properties", {}).values()
        if "default" in field
    }
    assert given == {
        *("istio.alibabacloud.com/v1beta1", "LLMProvider", "LLMRoute"),
        *("llm-mesh.dev/v1alpha1", "LLMPolicy"),
        *("inference.networking.k8s.io/v1", "InferencePool"),
        *("/v1/chat/completions", 0, "USD", "weighted"),
    }

"""The files for a cluster: definitions that are the models', rights that are enough."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from llm_mesh_kubernetes.crds import dump, make_crds
from llm_mesh_middleware.settings import load_settings
from llm_mesh_middleware.sources import parse_manifest
from tests.conftest import MANIFESTS
from tests.kubernetes.apiserver import APIServer
from tests.kubernetes.clusters import Cluster, eventually, key_from, policy, provider, route, secret
from tests.kubernetes.conftest import CRDS
from tests.kubernetes.structural import faults, flaws
from tests.kubernetes.test_pools import pool
from tests.kubernetes.test_pools import route as pool_route
from tests.kubernetes.test_status import reported
from tests.rows import rows
from tests.translation.dialect_table import PROVIDERS

FOLDER = CRDS.parent

EVERYTHING = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: all}
spec:
  host: acme.example
  path: /v1/chat/completions
  endpoint: http://10.0.0.1:8000
  maxConcurrency: 8
  activeCheck: {path: /health, interval: 3s}
  prices:
    - model: {prefix: m}
      currency: CNY
      perRequest: "0.01"
      perMillion:
        {input: "3", output: "6", cacheRead: "0.3", cacheWrite: "3.75", reasoning: "9",
         inputAudio: "40", inputImage: "5", cacheReadAudio: "0.4", outputAudio: "80",
         outputImage: "60"}
      tiers: [{aboveInput: 128k, input: "6"}]
  workloadSelector: {labels: {app: web}}
  tls: {caFile: a, serverName: b, clientCertFile: c, clientKeyFile: d}
  outlierDetection:
    {consecutiveFailures: 3, interval: 30, baseEjectionTime: 1m30s, maxEjectionTime: 5m,
     halfOpenRequests: 2}
  configs:
    defaultConfig:
      openAIConfig:
        model: m
        stream: true
        streamUsage: false
        apiKeyFrom: {secretKeyRef: {name: keys, key: token}}
        modelMapping: {a: b}
        defaults: {temperature: 0.5, stop: [a, b], tool: {type: x}}
        headers: {x-team: a}
        unsupportedFields: reject
        passFields: [top_k]
        apis: [chat, responses]
        maxTokensField: max_tokens
        sendReasoning: true
    routeSpecificConfigs:
      vip: {openAIConfig: {apiKey: k}}
      claude:
        anthropicConfig:
          {maxTokens: 8, version: a, betas: [a], thinking: budget, reasoning: {low: 1},
           vertex: {project: a, location: b, publisher: c, accessTokenFrom: {env: A}}}
      adc: {anthropicConfig: {vertex: {project: a, location: b, credentialsFrom: {file: k}}}}
      token: {anthropicConfig: {vertex: {project: a, location: b, accessToken: k}}}
      aws:
        bedrockConfig:
          region: a
          api: invoke
          credentials:
            {accessKeyIdFrom: {env: A}, secretAccessKeyFrom: {env: A}, sessionTokenFrom: {env: A}}
      key: {bedrockConfig: {credentials: {accessKeyId: a, secretAccessKey: b, sessionToken: c}}}
      chain: {bedrockConfig: {credentialsFrom: {default: true}}}
      gemini: {geminiConfig: {model: a}}
      azure:
        azureOpenAIConfig:
          deployment: a
          apiVersion: b
          entra:
            {tenantId: t, clientId: c, clientSecretFrom: {env: E}, authority: "https://login.example"}
      foundry: {anthropicConfig: {entra: {credentialsFrom: {default: true}, scope: s}}}
      azure-too: {azureOpenAIConfig: {entra: {accessToken: a}}}
      azure-file: {azureOpenAIConfig: {entra: {accessTokenFrom: {env: E}}}}
      azure-secret: {azureOpenAIConfig: {entra: {tenantId: t, clientId: c, clientSecret: s}}}
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {name: all}
spec:
  host: "*.example"
  gateways: [mesh, team/egress]
  rules:
    - name: vip
      matches:
        - headers: {user-type: {exact: a}, x-a: {prefix: b}, x-b: {regex: c.*}, x-c: {}}
          sourceLabels: {app: web}
          gateways: [mesh]
          path: {exact: /}
          method: {exact: POST}
          model: {prefix: gpt-}
          attributes: {tier: {exact: gold}}
      timeouts: {connect: 250ms, firstByte: 5, idle: 1m, request: 1h}
      retry:
        {attempts: 3, codes: [429, 503, context_length_exceeded], backoff: 250ms,
         maxRetryAfter: 5s, hedgeAfter: 2s}
      stickyBy: {attribute: tenant}
      balance: {policy: latency, warmup: 20s}
      mirrors:
        - {providerHost: b.example, model: n, percent: 2.5, maxConcurrency: 2, maxBodyBytes: 9,
           timeout: 5s, compareContent: true}
      backendRefs:
        - {providerHost: acme.example, weight: 1, priority: 1, model: m, hostRewrite: "b:80"}
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: all}
spec:
  targetRefs:
    - {kind: LLMRoute, name: all, sectionName: vip, namespace: default}
    - {kind: LLMProvider, name: all}
  limits:
    - name: tokens
      by: [consumer, model, provider, host, "attribute:a", "header:x-a"]
      trustHeaders: true
      when: [{model: {prefix: m}}]
      tokens: 100k
      per: 1m30s
      burst: 5
      tokensFrom: attribute:tpm
      weights: {input: 1, cacheRead: 0.1, cacheWrite: 1.25, output: 6, reasoning: 6}
      reserve: max
      overrides: [{match: {attributes: {plan: {exact: pro}}}, tokens: 1M}]
      onMissing: skip
      onStoreFailure: deny
      shadow: true
    - {name: others, requests: 60, concurrency: 8, per: 60}
    - {name: counted, tokens: 5, count: uncached}
  budgets:
    - name: money
      by: ["attribute:team"]
      when: [{model: {prefix: m}}]
      amount: "0.50"
      currency: CNY
      per: month
      timeZone: Asia/Shanghai
      warnAt: [0.5, 1]
      onExceeded: fallback
      unpriced: deny
      reserve: auto
      overrides: [{match: {model: {exact: a}}, amount: 7}]
      onMissing: deny
      onStoreFailure: allow
      trustHeaders: false
    - {name: rolling, amount: 5, per: 36h, shadow: true}
  guards:
    - name: pii
      "on": [request, response]
      roles: [user]
      pii: {entities: [EMAIL]}
      action: {mask: {unmask: true}}
    - name: form
      schema: {answer: {type: object}, tools: {send: {type: object}}}
    - name: words
      keywords: {deny: [a], ignoreCase: true}
      action: {deny: {status: 451, message: a}}
    - {name: regex, regex: {deny: [a], maxMatch: 9}, action: {log: {}}, shadow: true}
    - {name: listed, regex: {allow: [a]}}
    - name: hook
      webhook: {url: "http://10.0.0.1/check", apiKeyFrom: {secretKeyRef: {name: keys, key: token}}}
      timeout: 2s
      onFailure: allow
      window: 900
      mode: before
    - {name: other, webhook: {url: "http://10.0.0.1/check", apiKey: k}}
    - {name: judge, judge: {providerHost: acme.example, model: m, rules: a}}
    - {name: score, moderation: {providerHost: acme.example, model: m, thresholds: {hate: 0.5}}}
  cache:
    ttl: 1h
    staleIfError: 1d
    vary: [consumer]
    when: [{model: {prefix: m}}]
    ignore: [user]
    toolCalls: true
    maxTemperature: 0.5
    maxEntryBytes: 9
    semantic:
      {embedding: {providerHost: e, model: m}, threshold: 0.9, shadow: false, timeout: 1}
"""

# A provider of each dialect of the table, so that a new one has its fields there only.
_TABLE = {
    "apiVersion": "istio.alibabacloud.com/v1",
    "kind": "LLMProvider",
    "metadata": {"name": "table"},
    "spec": {
        "host": "table.example",
        "configs": {
            "defaultConfig": {},
            "routeSpecificConfigs": {name: dict(one.config) for name, one in PROVIDERS.items()},
        },
    },
}
EVERYTHING += "---\n" + yaml.safe_dump(_TABLE)


@cache
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The schema of each kind in each version."""
    return {
        (crd["spec"]["names"]["kind"], version["name"]): version["schema"]["openAPIV3Schema"]
        for crd in make_crds()
        for version in crd["spec"]["versions"]
    }


def documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each["kind"].startswith("LLM")]


def schema_of(document: dict[str, Any]) -> dict[str, Any]:
    return schemas()[document["kind"], document["apiVersion"].partition("/")[2]]


def faults_of(document: dict[str, Any]) -> list[str]:
    pruned = {**document, "metadata": {}}  # the API server has a schema of its own for it
    return list(faults(pruned, schema_of(document)))


def test_the_file_is_what_is_made_of_the_models() -> None:
    message = "run: python -m llm_mesh_kubernetes.crds > integrations/kubernetes/crds.yaml"
    assert CRDS.read_text("utf-8") == dump(), message


def test_the_schemas_are_structural() -> None:
    assert {name: list(flaws(schema)) for name, schema in schemas().items()} == dict.fromkeys(
        schemas(), []
    )


@rows("file", sorted(MANIFESTS.glob("*LLM*.yaml")), ids=lambda file: file.name)
def test_the_manifests_of_asm_fit(file: Path) -> None:
    found = documents(file.read_text("utf-8"))

    assert found
    assert [faults_of(document) for document in found] == [[] for _ in found]


def test_every_field_fits_that_the_models_know() -> None:
    assert parse_manifest(EVERYTHING, source="all.yaml", environ={}).problems == ()
    assert [faults_of(document) for document in documents(EVERYTHING)] == [[], [], [], []]


def fields(value: Any) -> set[str]:
    """The names of everything a schema describes."""
    found: set[str] = set()
    for name, inner in value.get("properties", {}).items():
        found |= {name} | fields(inner)
    for name in ("items", "additionalProperties"):
        found |= fields(value[name]) if name in value else set()
    return found


def names(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(names, value))
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set()


def test_the_document_with_every_field_has_every_field() -> None:
    known = set().union(*(fields(schema["properties"]["spec"]) for schema in schemas().values()))
    # Understood but not supported, or the other one of two.
    left_out = {"backendRef", "group", "kind", "name", "namespace", "port", "picker"}
    left_out |= {"pickerTLS", "insecureSkipVerify", "env", "file", "header", "service"}

    assert known - names(documents(EVERYTHING)) <= left_out


@rows(
    ("path", "value"),
    [
        (("host",), 5),
        (("hots",), "acme.example"),
        (("maxConcurrency",), 0),
        (("outlierDetection", "interval"), "soon"),
        (("outlierDetection", "interval"), 0.5),
        (("configs", "defaultConfig", "openAIConfig", "stream"), "true"),
        (("configs", "defaultConfig", "openAIConfig", "apiKeyFrom", "secretKeyRef", "key"), None),
    ],
)
def test_what_does_not_fit_is_refused_or_pruned(path: tuple[str, ...], value: object) -> None:
    document = documents(EVERYTHING)[0]
    *above, name = path
    inner = document["spec"]
    for part in above:
        inner = inner[part]
    inner[name] = value

    (fault,) = faults_of(document)
    assert fault.startswith(".spec." + ".".join(path))


def loaded(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def is_allowed(verb: str, path: str, selector: str, rules: list[dict[str, Any]]) -> bool:
    """Kubernetes' own answer to whether rules cover a request (a list by name is one of a name)."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    resource = "/".join([rest[2], *rest[4:]])
    name = rest[3] if len(rest) > 3 else selector.removeprefix("metadata.name=")
    return any(
        group in rule["apiGroups"]
        and resource in rule["resources"]
        and verb in rule["verbs"]
        and name in rule.get("resourceNames", [name])
        for rule in rules
    )


def test_the_role_allows_what_a_source_does_and_nothing_else(
    double: Cluster, server: APIServer
) -> None:
    double.apply(provider("acme.example", key_from("llm-keys")))
    double.apply(secret("llm-keys", token="k"))
    double.apply(route("acme.example"))
    double.apply(pool())
    double.apply(pool_route(name="pooled", host="pooled"))
    double.apply(policy(limits=[{"name": "one", "requests": 1}]))
    server.refuse("llmroutes/status", 409, times=1)
    reported(double.source())
    eventually(lambda: double.conditions("LLMProvider", "acme"))
    eventually(lambda: double.conditions("LLMRoute", "chat"))
    for followed in ("pods", "inferencepools", "inferencemodels", "inferencemodelrewrites"):
        eventually(lambda followed=followed: server.watches(followed))
    eventually(lambda: double.conditions("LLMPolicy", "team"))
    rules = loaded("rbac.yaml")[1]["rules"]
    used: set[tuple[str, str]] = set()
    for seen in server.seen:
        verb = "watch" if seen.is_watch else "patch" if seen.method == "PATCH" else ""
        verb = verb or ("get" if seen.path.count("/") > 6 else "list")
        selector = seen.query.get("fieldSelector", "")
        assert is_allowed(verb, seen.path, selector, rules), (verb, seen)
        own = next((kind for kind in ("secrets", "pods") if kind in seen.path), None)
        used.add((verb, own or seen.path.split("/")[6]))

    given = {
        (verb, resource.removesuffix("/status"))
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    # Only this run had no conflict there.
    unused = {("get", "llmproviders"), ("get", "llmpolicies")}
    assert given - used <= unused


def test_the_sidecar_says_what_the_command_understands(tmp_path: Path) -> None:
    (deployment,) = loaded("sidecar.yaml")
    (sidecar,) = deployment["spec"]["template"]["spec"]["initContainers"]
    values = {each["name"]: each.get("value") for each in sidecar["env"]}
    assert sidecar["args"][:3] == ["llm-mesh", "serve", "--config"]
    assert load_settings(config=sidecar["args"][3]).config == ("kubernetes:",)

    (tmp_path / "labels").write_text('app="web"\nversion="v1"\n')
    labels = values["LLM_MESH_LABELS"].replace("/etc/podinfo", str(tmp_path))
    settings = load_settings(labels=labels)
    assert settings.labels == deployment["spec"]["template"]["metadata"]["labels"]

"""The manifests of a soak run, in versions: one provider, one route, limits and a cache."""

from __future__ import annotations

from pathlib import Path

from tests.canaries import canary
from tests.soak.calls import HOST, KIND_HEADER

__all__ = ["write_manifest"]

# The limit of tokens is never reached: each call reserves and settles. The other one is.
_MANIFEST = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {{name: soak}}
spec:
  host: {host}
  path: /v1/chat/completions
  endpoint: {url}
  outlierDetection: {{consecutiveFailures: 2147483647}}
  configs: {{defaultConfig: {{openAIConfig: {{model: model-{version}, apiKey: {key}}}}}}}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {{name: soak}}
spec:
  host: {host}
  rules:
  - name: all
    backendRefs: [{{providerHost: {host}}}]
    retry: {{attempts: 0}}
    timeouts: {{firstByte: {patience}, idle: {patience}}}
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: soak}}
spec:
  limits:
  - {{name: tokens, by: ["header:x-caller"], trustHeaders: true, tokens: 1000M, per: 1s}}
  - name: few
    by: [host]
    when: [{{headers: {{{header}: {{exact: "unary, limited"}}}}}}]
    requests: 20
    per: 1s
  cache:
    ttl: 2s
    vary: []
    when: [{{headers: {{{header}: {{regex: ".*, cached"}}}}}}]
"""


def write_manifest(path: Path, url: str, version: int, *, patience: str = "3s") -> None:
    """Replace the file by another version in one step.

    Args:
        path: the file.
        url: the provider's.
        version: names the model that is asked for.
        patience: how long a provider may be silent.
    """
    new = path.with_suffix(".new")
    values = {"host": HOST, "header": KIND_HEADER, "key": canary("soak"), "patience": patience}
    new.write_text(_MANIFEST.format(url=url, version=version, **values))
    new.replace(path)

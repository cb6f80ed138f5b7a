"""`InferenceModelRewrite` and `InferenceModel` documents as the rewrites of each pool.

An exact match overrides a rule without one, over all documents. Of two for the same model the
first document counts; Kubernetes would take the older one, but a file has no age.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from ..._core.provider.servers.rewrites import ModelRewrites, ModelShares
from ..._manifest import Manifest, Resource
from ...config import InferenceModel, InferenceModelRewrite

__all__ = ["rewrites_of", "rewriting"]

Pool = tuple[str, str]
# A model's name, or None for every other one; and the names that share its requests.
_Entry = tuple[str | None, ModelShares]


def rewriting(manifest: Manifest) -> Iterator[tuple[Resource, Pool]]:
    """Yield each document that rewrites models, with the namespace and name of its pool."""
    for resource in manifest.resources:
        if isinstance(resource.model, InferenceModelRewrite | InferenceModel):
            yield resource, (resource.namespace, resource.model.spec.pool_ref.name)


def rewrites_of(manifest: Manifest, pool: Pool) -> ModelRewrites | None:
    """Return the rewrites of a pool, or None if it has none."""
    exact: dict[str, ModelShares] = {}
    others: ModelShares | None = None
    for resource, meant in rewriting(manifest):
        if meant != pool:
            continue
        for name, shares in _entries(resource):
            if name is None:
                others = others or shares
            else:
                exact.setdefault(name, shares)
    return ModelRewrites(exact, others) if exact or others else None


def _entries(resource: Resource) -> Iterator[_Entry]:
    model = resource.model
    if isinstance(model, InferenceModel):
        if model.spec.target_models:
            targets = [(each.name, each.weight) for each in model.spec.target_models]
            yield model.spec.model_name, _shares(targets)
    elif isinstance(model, InferenceModelRewrite):
        for rule in model.spec.rules:
            shares = _shares([(each.model_rewrite, each.weight) for each in rule.targets])
            if not rule.matches:
                yield None, shares
            yield from ((match.model.value, shares) for match in rule.matches)


def _shares(targets: Iterable[tuple[str, int | None]]) -> ModelShares:
    names, weights = zip(*targets, strict=True)
    return ModelShares(names, tuple(accumulate(weight or 1 for weight in weights)))

"""Parts of the compiler that are imported when a manifest needs them: policies and pools.

Most configurations have neither, and guards, caches and limits are a third of the core. They are
imported here, while the configuration is read, so that no call ever waits for an import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..._core.provider.upstream import Upstream
from ..._manifest import Manifest, Resource
from ..._process.files import FileVersion
from ...exceptions import Problem
from ..matches import Workload
from ..pricing.book import PriceBook

if TYPE_CHECKING:
    from ..inference.pools import Pools
    from ..policies import Policies

__all__ = ["NoPolicies", "open_policies", "open_pools"]

_POOLS = ("InferencePool", "InferenceModelRewrite", "InferenceModel")


class NoPolicies:
    """The policies of a manifest without any; see `Policies`."""

    problems: Sequence[Problem] = ()

    def of_rule(self, *_: object) -> tuple[()]:
        return ()

    def of_backend(
        self, route: Resource, rule: str, provider: Resource, upstream: Upstream
    ) -> None:
        return None


def open_policies(
    manifest: Manifest,
    workload: Workload,
    find: Callable[[str, str | None], Upstream | str],
    environ: Mapping[str, str],
    problems: list[Problem],
    files: dict[str, FileVersion],
) -> Policies | NoPolicies:
    """Return the policies of a manifest; the arguments are those of `Inspectors`."""
    if not any(resource.model.kind == "LLMPolicy" for resource in manifest.resources):
        return NoPolicies()
    from ..guarding.inspectors import Inspectors
    from ..policies import Policies

    inspectors = Inspectors(find, environ, manifest.secrets, problems, files)
    return Policies(manifest, workload, inspectors)


def open_pools(
    manifest: Manifest, prices: PriceBook, files: dict[str, FileVersion]
) -> Pools | None:
    """Return the pools of a manifest; None if no document is one or refers to one."""
    if not any(_uses_pools(resource) for resource in manifest.resources):
        return None
    from ..inference.pools import Pools

    return Pools(manifest, prices, files)


def _uses_pools(resource: Resource) -> bool:
    model = resource.model
    if model.kind == "LLMRoute":
        return any(ref.backend_ref for rule in model.spec.rules for ref in rule.backend_refs)
    return model.kind in _POOLS

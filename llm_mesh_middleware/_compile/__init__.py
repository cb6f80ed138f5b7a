"""From manifests to the immutable `RoutingTable`, with every cross-reference checked."""

from __future__ import annotations

from .advice import advise
from .table import Compiled, Workload, compile_manifest, explain_unserved

__all__ = ["Compiled", "Workload", "advise", "compile_manifest", "explain_unserved"]

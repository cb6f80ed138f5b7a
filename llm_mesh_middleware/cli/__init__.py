"""The command `llm-mesh`."""

from __future__ import annotations

try:
    from .main import main
except ModuleNotFoundError as exc:
    if exc.name != "click":
        raise
    raise SystemExit("click is missing: install llm-mesh-middleware[cli]") from exc

__all__ = ["main"]

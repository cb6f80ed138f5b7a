"""The command `llm-mesh`."""

from __future__ import annotations

try:
    from .main import main
except ModuleNotFoundError as exc:
    if exc.name not in ("click", "rich", "uvicorn"):
        raise
    raise SystemExit(f"{exc.name} is missing: install llm-mesh-middleware[cli]") from exc

__all__ = ["main"]

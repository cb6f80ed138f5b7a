"""The Django application `llm_mesh_django`: registers the system checks and the command."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

__all__ = ["LLMMeshConfig"]


class LLMMeshConfig(AppConfig):
    """List `llm_mesh_django` in `INSTALLED_APPS`; the middleware works without."""

    name = "llm_mesh_django"
    label = "llm_mesh"
    verbose_name = "LLM mesh"

    def ready(self) -> None:
        """Register the checks."""
        from .checks import check_configuration, check_order

        for check in (check_configuration, check_order):
            checks.register(check, "llm_mesh")

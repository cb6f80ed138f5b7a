"""`manage.py llm_mesh_explain`: how a request would be routed, and why."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from llm_mesh_django import get_mesh
from llm_mesh_middleware.explain import OPTIONS, ask, to_json

__all__ = ["Command"]


class Command(BaseCommand):
    """Prints which rule is selected for a request; nothing is sent, and no key is printed."""

    help = (
        "Explain how a request would be routed, and why. Nothing is sent, and no key is printed."
        " Exit code 1 if it would be refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that describe a request."""
        for option in OPTIONS:
            kind: dict[str, Any] = {"required": option.is_required, "default": option.default}
            if option.is_repeated:
                kind = {"action": "append", "default": []}
            elif option.is_flag:
                kind = {"action": "store_true"}
            parser.add_argument(*option.spellings, help=option.help, **kind)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the explanation; exit code 1 if the request would be refused."""
        request = {option.name: options[option.name] for option in OPTIONS if not option.is_flag}
        try:
            explanation = ask(get_mesh(), **request)
        except ValueError as exc:
            raise CommandError(str(exc), returncode=2) from None
        self.stdout.write(to_json(explanation) if options["json"] else explanation.to_text())
        if not explanation.is_served:
            sys.exit(1)

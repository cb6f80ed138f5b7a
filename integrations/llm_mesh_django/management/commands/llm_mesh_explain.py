"""`manage.py llm_mesh_explain`: how a request would be routed, and why."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from llm_mesh_django import get_mesh
from llm_mesh_middleware.explain import read_attribute, read_body, read_header

__all__ = ["Command"]


class Command(BaseCommand):
    """Print which rule takes a request; nothing is sent, and no key is printed."""

    help = (
        "Tell how a request would be routed, and why. Nothing is sent, and no key is printed."
        " Exit code 1 if it would be refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Spell a request as curl does."""
        add = parser.add_argument
        add("--host", required=True, help="The host that the request calls.")
        add("--path", default="/", help="Its path. Default: /.")
        add("--method", default="", help="Its method. Default: that of the path's operation.")
        add("--header", "-H", action="append", default=[], help="A header, 'name: value'.")
        add(
            "--attribute",
            action="append",
            default=[],
            help="What ATTRIBUTES would say of the client, 'name=value'.",
        )
        add("--data", "-d", help="The body: JSON, @file, or - for standard input. Default: {}.")
        add("--json", action="store_true", help="Print the explanation as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the explanation; exit code 1 if the request would be refused."""
        try:
            headers = [read_header(line) for line in options["header"]]
            attributes = dict(read_attribute(text) for text in options["attribute"])
            body = read_body(options["data"])
        except ValueError as exc:
            raise CommandError(str(exc), returncode=2) from None
        except OSError as exc:
            raise CommandError(f"cannot read the body: {exc.strerror}", returncode=2) from None
        explanation = get_mesh().explain(
            options["host"],
            path=options["path"],
            method=options["method"],
            headers=headers,
            body=body,
            attributes=attributes,
        )
        if options["json"]:
            self.stdout.write(json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False))
        else:
            self.stdout.write(explanation.to_text())
        if not explanation.is_served:
            sys.exit(1)

"""HTTP services that stand behind limits and caches, as those of ASM do."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ..base import Wire
from ..spelling.duration import Duration
from ..values import check_base_url, check_path

__all__ = ["PolicyService", "check_url"]


def check_url(url: str) -> str:
    """Return the URL of a service, if it is http:// or https:// with a host, and perhaps a path."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    check_base_url(f"{scheme}{mark}{host}")
    if slash:
        check_path(slash + path)
    return url


class PolicyService(Wire):
    """A service of your own that speaks ASM's protocol."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="Where it is: http:// or https://, host, port, a path before those it serves."
    )
    timeout: Duration | None = Field(
        default=None, description="How long to wait for it. Default: 500ms."
    )

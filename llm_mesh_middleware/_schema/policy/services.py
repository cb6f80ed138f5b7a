"""HTTP services that count limits or store responses, by ASM's protocols."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ..base import Wire
from ..spelling.duration import Duration
from ..values import check_base_url, check_path

__all__ = ["PolicyService", "check_url"]


def check_url(url: str) -> str:
    """Return the URL of a service: http:// or https:// with a host and optionally a path."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    check_base_url(f"{scheme}{mark}{host}")
    if slash:
        check_path(slash + path)
    return url


class PolicyService(Wire):
    """A service of your own that speaks ASM's protocol."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="Its base URL: http:// or https://, host, port, and a path before its own."
    )
    timeout: Duration | None = Field(
        default=None, description="How long to wait for it. Default: 500ms."
    )

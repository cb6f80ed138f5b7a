"""The model of `activeCheck`, of a provider and of a pool."""

from typing import Annotated

from pydantic import AfterValidator, Field

from .base import Wire
from .spelling.duration import Duration
from .values import check_path

__all__ = ["ActiveCheck"]


class ActiveCheck(Wire):
    """Health checks of a server, made by each process that serves requests."""

    path: Annotated[str, AfterValidator(check_path)] = Field(
        description="Path to request without a key; any status from 200 to 299 is healthy. After"
        " two failures in a row the server gets no requests until a check succeeds. Required."
    )
    interval: Duration | None = Field(
        default=None, description="Approximate time between two checks. Default: 5s."
    )

"""The adopted providers, and the replacements of the SDK's instruments and tracers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.trace import Tracer, TracerProvider

from ..by_identity import ByIdentity

__all__ = [
    "Bank",
    "Recorder",
    "TracerMaker",
    "Values",
    "adopted_bank",
    "adopted_tracer",
    "is_adopted",
    "register",
]


class Recorder(Protocol):
    """A histogram of the SDK, or one of a bank."""

    def record(
        self,
        amount: float,
        attributes: dict[str, str | int] | None = None,
        context: Context | None = None,
    ) -> None:
        """Record a value."""


Values = tuple[Recorder, Sequence[float], dict[str, str | int]]
"""A histogram, values, and the attributes that all of them have."""


class Bank(Protocol):
    """The histograms of one provider."""

    def histogram(self, meter: Meter, name: str, unit: str, bounds: Sequence[float]) -> Recorder:
        """Return a new histogram of `meter`."""

    def record_all(self, values: Iterable[Values]) -> None:
        """Record values on histograms that are the bank's."""

    def before_collecting(self, prepare: Callable[[], None]) -> None:
        """Call `prepare` each time before anything is collected."""


class TracerMaker(Protocol):
    """Makes tracers whose spans are built when they end."""

    def __call__(self, tracer: Tracer) -> Tracer:
        """Return a tracer in place of the SDK's."""


_banks: ByIdentity[Bank] = ByIdentity()
_tracers: ByIdentity[TracerMaker] = ByIdentity()


def register(provider: object, made: Bank | TracerMaker) -> None:
    """Use `made` for instruments or tracers of `provider` from now on."""
    if callable(made):
        _tracers.set(provider, made)
    else:
        _banks.set(provider, made)


def is_adopted(provider: TracerProvider) -> bool:
    """Return whether the tracers of a provider are replaced."""
    return _tracers.get(provider) is not None


def adopted_bank(provider: MeterProvider) -> Bank | None:
    """Return the bank of an adopted provider, None for any other."""
    return _banks.get(provider)


def adopted_tracer(provider: TracerProvider, tracer: Tracer) -> Tracer:
    """Return the tracer that replaces `tracer` of `provider`, or `tracer` itself."""
    maker = _tracers.get(provider)
    return tracer if maker is None else maker(tracer)

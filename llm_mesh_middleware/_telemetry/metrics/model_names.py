"""The model names that a metric may carry: their number is limited, whatever clients send."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["ModelNames"]

_OTHER = "_other"
_MAX_RETURNED = 100
_MAX_TEXT = 128


class ModelNames:
    """Names from the configuration, and a limited number of those that providers return.

    At most 100 names of 128 characters are kept beyond the configuration's.
    """

    def __init__(self, configured: Callable[[], frozenset[str]]) -> None:
        """`configured` returns the names in the configuration in use."""
        self._configured = configured
        self._returned: set[str] = set()

    def requested(self, model: str | None) -> str | None:
        """Return the label for a requested model: `_other` unless the configuration names it."""
        if model is None or model in self._configured():
            return model
        return _OTHER

    def returned(self, model: str | None) -> str | None:
        """Return the label for the model that a response names."""
        if model is None or model in self._returned or model in self._configured():
            return model
        if len(self._returned) >= _MAX_RETURNED or len(model) > _MAX_TEXT:
            return _OTHER
        self._returned.add(model)
        return model

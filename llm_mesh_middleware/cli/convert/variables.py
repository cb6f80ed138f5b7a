"""Values that LiteLLM reads from the environment, and keys, which are never copied.

`Entry` is one deployment's settings, with their place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

__all__ = ["Entry", "Note", "placeholder"]

Note = Callable[[str, str], None]

_ENVIRONMENT = "os.environ/"
_NO_KEY = ("", "none", "null", "empty", "dummy", "fake-key", "not-needed")


class Entry(msgspec.Struct, frozen=True):
    """`model_list[N].litellm_params`; `note` gets remarks on settings that are not converted."""

    params: Mapping[str, Any]
    number: int
    note: Note
    environ: Mapping[str, str]

    def remark(self, key: str, text: str) -> None:
        """Remark on one of the settings."""
        self.note(f"model_list[{self.number}].litellm_params.{key}", text)

    def text(self, key: str) -> str | None:
        """Return the value of a setting; one that names a variable is looked up."""
        given = self.params.get(key)
        if not isinstance(given, str) or not given:
            return None
        if not given.startswith(_ENVIRONMENT):
            return given
        variable = given.removeprefix(_ENVIRONMENT)
        found = self.environ.get(variable)
        if not found:
            self.remark(key, f"set {variable} and convert again: a manifest states the value")
        return found or None

    def key(self, name: str, usual: str | None, *, is_public: bool = True) -> str | None:
        """Return the variable that holds a key; None if no key is sent.

        Args:
            name: the setting.
            usual: the variable that LiteLLM reads if the setting is missing.
            is_public: whether to use that variable: it is not for a server of your own.
        """
        given = self.params.get(name)
        text = given if isinstance(given, str) else ""
        if text.startswith(_ENVIRONMENT):
            return text.removeprefix(_ENVIRONMENT)
        if text.lower() in _NO_KEY:
            return usual if is_public and not text else None
        variable = f"{usual or name.upper()}_{self.number}"
        self.remark(name, f"is a literal key and was not copied; set {variable}")
        return variable


def placeholder(value: object) -> str:
    """Return a text with LiteLLM's `os.environ/NAME` as `${NAME}`."""
    text = str(value)
    if text.startswith(_ENVIRONMENT):
        return f"${{{text.removeprefix(_ENVIRONMENT)}}}"
    return re.sub(r"\$\{", "$${", text)

"""`${NAME}` in values, replaced from an environment; `$${` stands for a plain `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["substitute"]

_PLACEHOLDER = re.compile(r"(\$\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$\{)")


def substitute(text: str, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Replace the placeholders of a text once; return it with what is wrong with them.

    An empty variable counts as missing: an empty key is as wrong as none. Line breaks at the end of
    a value are dropped, as many tools add one. A malformed placeholder is a fault too, as it would
    be sent literally as a key.
    """
    faults: list[str] = []

    def replace(match: re.Match[str]) -> str:
        escaped, name, malformed = match.groups()
        if escaped:
            return "${"
        if malformed:
            faults.append("has a ${ that is not ${NAME}; write $${ for a plain ${")
            return ""
        value = environ.get(name, "").rstrip("\r\n")  # as a shell's $(...) does
        if not value:
            state = "empty" if name in environ else "not set"
            faults.append(f"environment variable {name} is {state}")
        return value

    replaced = _PLACEHOLDER.sub(replace, text)
    return replaced, tuple(dict.fromkeys(faults))

"""Labels of a workload as text: `app=web,version=v1`, or the lines of a downward API file."""

import re

__all__ = ["read_label_file", "read_label_list"]

# The kubelet writes values with Go's %q, which escapes control characters.
_LINE = re.compile(r'([^\s="]+)="((?:[^"\\\x00-\x1f]|\\.)*)"')
_ESCAPE = re.compile(
    r'\\(?:([abfnrtv\\"])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))|\\', re.ASCII
)
_LETTERS = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))
_HIGHEST_CHARACTER = 0x10FFFF


def read_label_list(text: str) -> dict[str, str]:
    """Read `key=value`, separated by commas."""
    labels: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise ValueError("must be labels such as app=web,version=v1")
        if labels.setdefault(key, value) != value:
            raise ValueError("must not have a label twice")
    return labels


def read_label_file(text: str) -> dict[str, str]:
    """Read `key="value"`, one a line, escaped as in Go: a file of the downward API."""
    labels: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f'must have lines such as app="web"; line {number} is different')
        key, value = match[1], _ESCAPE.sub(_unescaped, match[2])
        if "\ufffd" in value:
            raise ValueError(f"has an escape in line {number} that Go does not write")
        if labels.setdefault(key, value) != value:
            raise ValueError(f"must not have a label twice; {key!r} is repeated in line {number}")
    return labels


def _unescaped(match: re.Match[str]) -> str:
    letter, *codes = match.groups()
    if letter:
        return _LETTERS[letter]
    code = next(filter(None, codes), "")
    return chr(int(code, 16)) if code and int(code, 16) <= _HIGHEST_CHARACTER else "\ufffd"

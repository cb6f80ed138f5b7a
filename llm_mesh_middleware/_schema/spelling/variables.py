"""Readers of settings as they are written in one environment variable.

A value that is not text, given as a keyword, passes as it is.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..values import check_file_name
from .labels import read_label_file, read_label_list

__all__ = ["KUBERNETES", "read_labels", "read_object", "read_path", "read_paths", "read_words"]

# The beginning of a `config` that names a cluster instead of files.
KUBERNETES = "kubernetes:"


def _json(text: str, kind: type[Any], wanted: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as exc:
        # Its text is not repeated: client keys are written this way.
        raise ValueError(
            f"must be {wanted}; it is not valid JSON at character {exc.pos + 1}"
        ) from None
    except RecursionError:
        raise ValueError(f"must be {wanted}; this is nested too deep") from None
    if not isinstance(value, kind):
        raise ValueError(f"must be {wanted}")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("must be a JSON object with no key twice")
    return dict(pairs)


def read_paths(value: object) -> object:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        return _as_tuple(value)
    if value.startswith(KUBERNETES):
        return (value,)  # its colon separates nothing
    if value.lstrip().startswith("["):
        return tuple(_json(value, list, 'a JSON list such as ["mesh.yaml"]'))
    return tuple(path for path in value.split(os.pathsep) if path)


def _as_tuple(value: object) -> object:
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        return value
    return tuple(os.fspath(item) if isinstance(item, os.PathLike) else item for item in value)


def read_path(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def read_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word for part in value.split(",") if (word := part.strip()))


def read_object(value: object) -> object:
    return _json(value, dict, "a JSON object") if isinstance(value, str) else value


def read_labels(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.startswith("@"):
        return read_label_list(value)
    path = value[1:]
    try:
        text = Path(check_file_name(path)).read_text("utf-8")
    except OSError as exc:
        raise ValueError(f"cannot read {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read {path}: it is not UTF-8") from None
    try:
        return read_label_file(text)
    except ValueError as exc:
        raise ValueError(f"{path} {exc}") from None

"""Reads the keys of one provider, from its document and the places that it names."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, SecretStr

from .._manifest import PYTHON, Resource, Secret, SecretName
from .._process.files import FileVersion, read_bounded, version_of
from ..config import APIKeySource, SecretKeyRef
from ..exceptions import Problem

__all__ = ["KeyReader"]

_Path = tuple[str | int, ...]

_MAX_KEY_BYTES = 64 * 2**10


class KeyReader:
    """Reads keys; `problems` has an error for each that cannot be read.

    `files` has the files that were read, with their versions from before the read.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        environ: Mapping[str, str],
        secrets: Mapping[SecretName, Secret] | None,
    ) -> None:
        self.problems: list[Problem] = []
        self.files: dict[str, FileVersion] = {}
        self._resource = resource
        self._environ = environ
        self._secrets = secrets

    def read(self, config: BaseModel, name: str, path: _Path) -> str | None:
        """Return the key in the field `name` of `config`, or at the place in `{name}_from`.

        None if it has neither, or if the key cannot be read.
        """
        value: SecretStr | None = getattr(config, name)
        alias = type(config).model_fields[name].alias or name
        if value is not None:
            return self._literal(value.get_secret_value(), (*path, alias))
        source: APIKeySource | None = getattr(config, f"{name}_from")
        return None if source is None else self._kept(source, (*path, f"{alias}From"))

    def text(self, file: str, path: _Path) -> bytes | None:
        """Return the content of a file, or None if it cannot be read."""
        self.depend_on(file)
        try:
            return read_bounded(file, _MAX_KEY_BYTES)
        except OSError as exc:
            self.complain(path, f"cannot read {file}: {exc.strerror}")
            return None

    def variable(self, name: str) -> str | None:
        """Return an environment variable, or None if it is unset or empty."""
        return self._environ[name] or None if name in tuple(self._environ) else None

    def depend_on(self, file: str) -> None:
        """Note a file's version before it is read, so that a change meanwhile is noticed later."""
        self.files.setdefault(file, version_of(file))

    def complain(self, path: _Path, message: str) -> None:
        """Note an error at `path`."""
        self.problems.append(self._resource.problem(path, message))

    def _literal(self, key: str, path: _Path) -> str | None:
        if self._resource.source != PYTHON or "${" not in key:
            return key
        self.complain(path, "is a placeholder; in Python give the key itself")
        return None

    def _kept(self, source: APIKeySource, path: _Path) -> str | None:
        if source.env is not None:
            return self._key_text(self._environ.get(source.env), (*path, "env"), f"${source.env}")
        if source.file is not None:
            data = self.text(source.file, (*path, "file"))
            if data is None:
                return None
            return self._key_text(data.decode("latin-1"), (*path, "file"), source.file)
        if source.secret_key_ref is not None:
            return self._secret_text(source.secret_key_ref, (*path, "secretKeyRef"))
        return None

    def _secret_text(self, ref: SecretKeyRef, path: _Path) -> str | None:
        if self._secrets is None:
            message = "needs KubernetesSource, which reads Secrets of a cluster; use env or file"
            self.complain(path, message)
            return None
        namespace = self._resource.namespace
        name = f"Secret {namespace}/{ref.name}"
        secret = self._secrets.get((namespace, ref.name))
        if secret is None or secret.fault:
            fault = secret.fault if secret is not None else "does not exist"
            self.complain((*path, "name"), f"{name} {fault}")
            return None
        if ref.key not in secret.data:
            self.complain((*path, "key"), f"{name} has no key {ref.key!r}")
            return None
        text = secret.data[ref.key].decode("latin-1")
        return self._key_text(text, (*path, "key"), f"key {ref.key!r} of {name}")

    def _key_text(self, text: str | None, path: _Path, origin: str) -> str | None:
        """Strip the line break that ends most key files; refuse other control characters."""
        key = (text or "").strip()
        if not key:
            self.complain(path, f"{origin} is missing or empty")
            return None
        if not (key.isascii() and key.isprintable()):
            self.complain(
                path, f"{origin} does not hold a key: it has control or non-ASCII characters"
            )
            return None
        return key

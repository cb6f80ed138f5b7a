"""A request of the explain form as text to copy: for curl, for `llm-mesh explain`, for pytest.

Headers that may hold a credential are omitted. If one of them was a client key, the test
states its consumer instead.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ..._core.explaining.redaction import is_credential
from ...explain import Explanation
from ...settings import KUBERNETES, MeshSettings

__all__ = ["AskedRequest", "as_command", "as_curl", "as_pytest"]

_WIDTH = 88
_FIELDS = ("labels", "namespace", "gateways")


class AskedRequest(msgspec.Struct, frozen=True):
    """The request to explain; `consumer` is the name of its client key."""

    host: str
    path: str
    method: str
    headers: Sequence[tuple[str, str]]
    attributes: Mapping[str, str]
    body: str
    consumer: str | None = None

    @property
    def shown_headers(self) -> list[tuple[str, str]]:
        """The headers without those that may hold a credential."""
        return [(name, value) for name, value in self.headers if not is_credential(name)]


def as_curl(asked: AskedRequest, explanation: Explanation) -> str:
    """Return a curl command that sends the request to `llm-mesh serve`."""
    words = [["curl", f"http://127.0.0.1:15001{asked.path}"], ["-H", f"host: {asked.host}"]]
    if explanation.method != "POST":
        words[0][1:1] = ["-X", explanation.method]
    else:
        words.append(["-H", "content-type: application/json"])
    words += [["-H", f"{name}: {value}"] for name, value in asked.shown_headers]
    if explanation.method == "POST":
        words.append(["-d", asked.body])
    return _shell(words)


def as_command(asked: AskedRequest) -> str:
    """Return the `llm-mesh explain` command for the request."""
    words = [["llm-mesh", "explain", "--host", asked.host, "--path", asked.path]]
    if asked.method:
        words.append(["--method", asked.method])
    words += [["-H", f"{name}: {value}"] for name, value in asked.shown_headers]
    facts = _facts(asked)
    words += [["--attribute", f"{name}={value}"] for name, value in facts.items()]
    words.append(["-d", asked.body])
    return _shell(words)


def as_pytest(asked: AskedRequest, explanation: Explanation, settings: MeshSettings) -> str:
    """Return a test module that fails when the request is routed differently.

    It needs no key, only the fixture `llm_mesh` of this package.
    """
    return "\n".join(_lines(asked, explanation, settings)) + "\n"


def _lines(asked: AskedRequest, explanation: Explanation, settings: MeshSettings) -> Iterator[str]:
    manifests = [path for path in settings.config if not path.startswith(KUBERNETES)]
    yield f'"""How the mesh routes one request to {_plain(asked.host)}."""'
    yield ""
    yield from _assigned("MANIFESTS", manifests or ["mesh.yaml"])
    yield ""
    yield ""
    yield f"def test_{_slug(asked, explanation)}(llm_mesh):"
    options = {
        name: getattr(settings, name) for name in _FIELDS if name in settings.model_fields_set
    }
    given = "".join(f", {name}={value!r}" for name, value in options.items() if value)
    yield f"    mesh = llm_mesh(MANIFESTS{given}).mesh"
    yield "    explained = mesh.explain("
    yield f"        {asked.host!r},"
    yield f"        path={asked.path!r},"
    yield f"        method={explanation.method!r},"
    if asked.shown_headers:
        yield f"        headers={asked.shown_headers!r},"
    if facts := _facts(asked):
        yield f"        attributes={facts!r},"
    yield f"        body={asked.body!r}.encode(),"
    yield "    )"
    if explanation.refusal is not None:
        yield f"    assert explained.refusal.code == {explanation.refusal.code!r}"
        return
    yield f"    assert explained.rule == {explanation.rule!r}"
    backends = [(each.provider, each.model) for each in explanation.backends]
    yield f"    assert [(b.provider, b.model) for b in explained.backends] == {backends!r}"


def _assigned(name: str, paths: Sequence[str]) -> Iterator[str]:
    line = f"{name} = {list(paths)!r}"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{name} = ["
    yield from (f"    {path!r}," for path in paths)
    yield "]"


def _facts(asked: AskedRequest) -> dict[str, str]:
    shown = {name: value for name, value in asked.attributes.items() if not is_credential(name)}
    return shown if asked.consumer is None else {**shown, "consumer": asked.consumer}


def _slug(asked: AskedRequest, explanation: Explanation) -> str:
    outcome = explanation.rule or (explanation.refusal.code if explanation.refusal else "nothing")
    words = re.sub(r"[^a-z0-9]+", "_", f"{asked.host} gets {outcome}".lower())
    return words.strip("_") or "request"


def _plain(text: str) -> str:
    """Return `text` without what could end a docstring."""
    return json.dumps(text)[1:-1].replace("\\", "").replace('"', "")


def _shell(words: Sequence[Sequence[str]]) -> str:
    return " \\\n  ".join(shlex.join(group) for group in words)

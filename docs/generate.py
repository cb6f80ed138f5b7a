"""Reference pages, made from what the code itself says; MkDocs calls `on_files`.

settings    the descriptions of `MeshSettings`
manifests   those of the documents' models
commands    the help of the click commands
errors      the tree of exceptions
metrics     the instruments of a mesh

Beside them are the documents at the top of the project, as `project/NAME.md`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from error_advice import ADVICE
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llm_mesh_middleware import MeshSettings, config, exceptions
from llm_mesh_middleware._telemetry.metrics.instruments import MeshMetrics
from llm_mesh_middleware.cli import main
from llm_mesh_middleware.exceptions import AnswerableError

__all__ = ["on_files", "pages"]


_ROOT = Path(__file__).parent.parent
_TOP = ("CHANGELOG", "CONTRIBUTING", "SECURITY")


def pages() -> dict[str, str]:
    """Return every generated page by its path below `docs`."""
    found = {f"project/{name}.md": _top(name) for name in _TOP}
    found |= {
        "reference/settings.md": _settings(),
        "reference/commands.md": _commands(),
        "reference/metrics.md": _metrics(),
        "reference/errors/index.md": _errors(),
    }
    for code, classes in _errors_by_code().items():
        found[f"reference/errors/{code}.md"] = _error(code, classes)
    for kind in _kinds():
        found[f"reference/{kind}.md"] = _manifest(kind)
    return found


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those of the folder."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def _top(name: str) -> str:
    """Return a document of the top, whose links to pages are seen from one folder below."""
    return (_ROOT / f"{name}.md").read_text("utf-8").replace("](docs/", "](../")


def _settings() -> str:
    lines = [
        "# Settings",
        "",
        "Each is an environment variable and, without the prefix and in lower case, a keyword of"
        " `MeshSettings`. A keyword overrides the environment; an empty variable counts as unset.",
        "",
        "| variable | meaning |",
        "|---|---|",
    ]
    for name, field in MeshSettings.model_fields.items():
        lines.append(f"| `LLM_MESH_{name.upper()}` | {_cell(field.description or '')} |")
    return _text(lines)


def _kinds() -> list[str]:
    """Return the kinds of documents that the configuration knows."""
    return sorted(
        name for name in config.__all__ if re.fullmatch(r"LLM(Provider|Route|Policy)", name)
    )


def _manifest(kind: str) -> str:
    schema = config.json_schema(getattr(config, kind))
    definitions: Mapping[str, Any] = schema.get("$defs", {})  # type: ignore[assignment]
    lines = [f"# {kind}", "", str(schema.get("description", "")), ""]
    lines += ["Fields marked with + are extensions that ASM ignores.", ""]
    lines += ["| field | meaning |", "|---|---|"]
    lines += _rows(schema, "", definitions, ())
    return _text(lines)


def _rows(
    schema: Mapping[str, Any],
    prefix: str,
    definitions: Mapping[str, Any],
    above: tuple[str, ...],
) -> Iterator[str]:
    """Yield a row for each field, the fields of a field after it."""
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        mark = " +" if field.get("x-extension") else ""
        yield f"| `{path}`{mark} | {_cell(field.get('description', ''))} |"
        reference, brackets = _inner(field)
        if reference and reference not in above:
            inner = definitions.get(reference, {})
            yield from _rows(inner, f"{path}{brackets}.", definitions, (*above, reference))


def _inner(field: Mapping[str, Any]) -> tuple[str, str]:
    """Return the definition that a field's value has, and the brackets that lead to it."""
    for each in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        if "$ref" in each:
            return each["$ref"].rpartition("/")[2], ""
        if "$ref" in each.get("items", {}):
            return each["items"]["$ref"].rpartition("/")[2], "[]"
        values = each.get("additionalProperties")
        if isinstance(values, dict) and "$ref" in values:
            return values["$ref"].rpartition("/")[2], "{}"
    return "", ""


def _commands() -> str:
    lines = ["# Commands", "", "Exit codes are in the text of each command.", ""]
    with click.Context(main, info_name="llm-mesh") as context:
        for name, command in sorted(main.commands.items()):
            lines += _command(command, name, context)
    return _text(lines)


def _command(command: click.Command, name: str, parent: click.Context) -> list[str]:
    with click.Context(command, info_name=name, parent=parent) as context:
        context.terminal_width = context.max_content_width = 100
        lines = [f"## {context.command_path}", "", "```text", context.get_help(), "```", ""]
        if isinstance(command, click.Group):
            for inner_name, inner in sorted(command.commands.items()):
                lines += _command(inner, inner_name, context)
        return lines


def _errors_by_code() -> dict[str, list[type[AnswerableError]]]:
    found: dict[str, list[type[AnswerableError]]] = {}
    for name in exceptions.__all__:
        each = getattr(exceptions, name)
        if inspect.isclass(each) and issubclass(each, AnswerableError):
            found.setdefault(each.code, []).append(each)
    return dict(sorted(found.items()))


def _errors() -> str:
    lines = [
        "# Errors",
        "",
        "The mesh answers in the dialect of the client. `code` and `status` of each error:",
        "",
        "| status | code | when |",
        "|---|---|---|",
    ]
    rows = []
    for code, classes in _errors_by_code().items():
        first = classes[0]
        rows.append((first.status, f"| {first.status} | [`{code}`]({code}.md) | {_when(first)} |"))
    return _text([*lines, *(row for _, row in sorted(rows))])


def _error(code: str, classes: list[type[AnswerableError]]) -> str:
    first = classes[0]
    lines = [f"# {code}", "", f"Status {first.status}, type `{first.type}`.", ""]
    for each in classes:
        lines += [f"- `{each.__name__}`: {_when(each)}"]
    return _text([*lines, "", ADVICE.get(code, "")])


def _when(error: type[AnswerableError]) -> str:
    return " ".join(inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].split())


def _metrics() -> str:
    provider = MeterProvider([InMemoryMetricReader()])
    meter = _Recorder(provider.get_meter("docs"))
    MeshMetrics(meter, generations=frozenset(("known", "latest")))  # type: ignore[arg-type]
    provider.shutdown()
    lines = ["# Metrics", "", "| name | kind | unit |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | `{unit}` |" for name, kind, unit in sorted(meter.made)]
    return _text(lines)


class _Recorder:
    """A meter that notes what is made of it."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self.made: list[tuple[str, str, str]] = []

    def __getattr__(self, name: str) -> Any:
        make = getattr(self._meter, name)
        if not name.startswith("create_"):
            return make

        def note(*args: Any, **options: Any) -> Any:
            unit = options.get("unit", args[-1] if name == "create_observable_gauge" else "")
            given = [each for each in args if isinstance(each, str)]
            unit = options.get("unit") or (given[1] if len(given) > 1 else "")
            kind = name.removeprefix("create_").replace("_", " ")
            self.made.append((given[0] if given else options["name"], kind, unit))
            return make(*args, **options)

        return note


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"

"""The reference in docs/reference, made from the code: ``python -m hcluster.cli.reference docs/reference``.

`make reference` runs it; a test fails when the pages are older than the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hcluster.cli.app import ENTRIES
from hcluster.cli.lazy import load
from hcluster.spec.load import Kind, schema

_MADE = "<!-- Made from the code by `make reference`; changes belong there. -->"
_COMMANDS = """\
Every command takes `--output table|json` and `--platform FILE`, before or after its name, and `-h`. NAME is a cluster's
name; its beginning is enough where only one cluster begins so. Exit codes: 0 done or nothing to do, 1 failed, 2 wrong
usage, 130 interrupted; `exec` and `job run` hand on those of what they ran."""
_CHANGES = """\
A change of a field of something that runs is applied to it (live), reaches only new nodes (replace-nodes), or is
refused."""
_OUTPUT = """\
With `--output json` a command prints one value on standard output and nothing else; progress and errors go to standard
error. Later versions add fields and take none away: let pass what you do not know. `hcluster spec schema output
COMMAND` prints the JSON Schema. Times are ISO 8601 in UTC."""
_CONTENTS = """\
- [commands.md](commands.md): every command with its arguments, options and examples
- [cluster-yaml.md](cluster-yaml.md), [platform-yaml.md](platform-yaml.md), [image-yaml.md](image-yaml.md): every field,
  its default, and what a change of it asks for
- [output.md](output.md): what each command prints with `--output json`
- [../errors.md](../errors.md): every error and its cure"""
_SHARED = ("--help", "--output", "--platform")
_EXAMPLE = re.compile(r"\n*(?:\x08\n)?Examples?:\n?", re.MULTILINE)


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return {
        "README.md": _page("Reference", [_CONTENTS]),
        "commands.md": commands_page(),
        "cluster-yaml.md": spec_page("cluster", "cluster.yaml: what one cluster should be", "examples/flights.yaml"),
        "platform-yaml.md": spec_page("platform", "platform.yaml: what clusters stand on", "examples/platform.yaml"),
        "image-yaml.md": spec_page("image", "An image's YAML: what a layer adds to its parent", "examples/images/"),
        "output.md": output_page(),
    }


def _page(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"# {title}", "", _MADE, "", *lines]) + "\n"


# Commands


def commands_page() -> str:
    """Every command, in the order of `hcluster --help`."""
    lines = [_COMMANDS, ""]
    for section in dict.fromkeys(entry.section for entry in ENTRIES.values()):
        lines += [f"## {section}", ""]
        for name in [name for name, entry in ENTRIES.items() if entry.section == section]:
            command = load(name, ENTRIES[name])
            inner = getattr(command, "commands", None)
            if inner is None:
                lines += _command(name, command)
                continue
            for word, one in inner.items():
                lines += _command(f"{name} {word}", one)
    return _page("Commands", lines[:-1])


def _command(words: str, command: Any) -> Iterator[str]:
    context = command.make_context(f"hcluster {words}", [], resilient_parsing=True)
    told, *examples = _EXAMPLE.split("\n\n".join(part for part in (command.help, command.epilog) if part))
    yield from (f"### hcluster {words}", "", *_paragraphs(told), "")
    usage = " ".join(context.get_usage().removeprefix("Usage: ").split())
    yield from ("```", usage, "```", "")
    rows = [_parameter(one, context) for one in command.params if not set(_SHARED) & {*one.opts}]
    if rows:
        yield from (*_table(("argument or option", "meaning", "default"), rows), "")
    shown = [line.strip() for text in examples for part in text.split(" · ") for line in part.splitlines()]
    if any(shown):
        yield from ("```console", *(f"$ {line}" for line in shown if line), "```", "")


def _paragraphs(text: str) -> Iterator[str]:
    for index, part in enumerate(re.split(r"\n\s*\n", text.replace("\x08", "").strip())):
        if index:
            yield ""
        yield " ".join(part.split())


def _parameter(parameter: Any, context: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        shown = parameter.metavar or parameter.name.upper()
    else:
        shown = parameter.get_help_record(context)[0]
    default = parameter.default
    if callable(default) or default in (None, "", False, [], ()):
        return f"`{shown}`", parameter.help or "", ""
    return f"`{shown}`", parameter.help or "", f"`{getattr(default, 'value', default)}`"


# Specs and outputs


def spec_page(kind: Kind, title: str, example: str) -> str:
    """Every field of a kind of YAML file."""
    document = schema(kind)
    intro = (
        f"`hcluster spec schema {kind}` prints this for editors, `hcluster spec validate FILE` checks a file, and "
        f"[{example}](../../{example}) is an example. {_CHANGES}"
    )
    lines = [intro, "", *_fields(document, changes=True)]
    for name, body in document.get("$defs", {}).items():
        lines += [f"## {name}", "", body.get("description", ""), "", *_fields(body, changes=True)]
    return _page(title, lines[:-1])


def output_page() -> str:
    """What each command prints as JSON, and each type in it once."""
    from hcluster.cli.output.schemas import schema_of
    from hcluster.cli.output.shapes import ERROR, Silent, shapes

    types: dict[str, Any] = {}
    rows = []
    for command, shape in shapes().items():
        if isinstance(shape, Silent):
            rows.append((f"`{command}`", f"nothing: {shape.reason}"))
            continue
        document = schema_of(shape)
        types.update(document.get("$defs", {}))
        name = "an error, on standard error" if command == ERROR else f"`{command}`"
        rows.append((name, _type(document)))
    lines = [_OUTPUT, "", *_table(("command", "prints"), rows), ""]
    for name in sorted(types):
        body = types[name]
        lines += [f"## {name}", "", body.get("description", ""), "", *_fields(body, changes=False)]
    return _page("Output as JSON", lines[:-1])


def _fields(body: Mapping[str, Any], *, changes: bool) -> list[str]:
    required = body.get("required", ())
    rows: list[tuple[str, ...]] = []
    for name, field in body.get("properties", {}).items():
        words = [field.get("description", "")]
        if not changes:
            rows.append((f"`{name}`", _type(field), words[0] + ("" if name in required else " May be missing.")))
            continue
        default = "required" if name in required else _default(field)
        if "change" in field:
            words.append(f"*{field['change']}*: {field['change-reason']}.")
        if "decrease-refused" in field:
            words.append(f"A smaller one is refused: {field['decrease-refused']}.")
        rows.append((f"`{name}`", _type(field), default, " ".join(filter(None, words))))
    heads = ("field", "type", "default", "meaning") if changes else ("field", "type", "meaning")
    return [*_table(heads, rows), ""] if rows else []


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value in (None, "", [], {}):
        return ""
    return f"`{', '.join(map(str, value)) if isinstance(value, list) else value}`"


def _type(field: Mapping[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "allOf" in field or "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one) for one in field.get("allOf", field.get("anyOf"))))
    by_kind: dict[str, Callable[[], str]] = {
        "array": lambda: f"list of {_type(field.get('items') or {})}",
        "object": lambda: _mapping(field),
        "string": lambda: "time" if field.get("format") == "date-time" else "text",
        "integer": lambda: f"whole number{_range(field)}",
        "number": lambda: f"number{_range(field)}",
        "boolean": lambda: "true or false",
        "null": lambda: "null",
    }
    kind = field.get("type")
    return by_kind[kind]() if kind in by_kind else "any value"


def _mapping(field: Mapping[str, Any]) -> str:
    inner = field.get("additionalProperties")
    if not isinstance(inner, dict):
        inner = next(iter(field.get("patternProperties", {}).values()), {})
    keys = field.get("propertyNames", {}).get("enum", ())
    of = f" with keys {', '.join(f'`{key}`' for key in keys)}" if keys else ""
    return f"mapping{of} to {_type(inner)}" if inner else "mapping"


def _range(field: Mapping[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None and high is None:
        return ""
    return f", {low} to {high}" if high is not None and low is not None else f", at least {low}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|").replace("\n", " ").strip() for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in (heads, ["---"] * len(heads), *cells)]


def main(folder: Path) -> None:
    """Write the pages that differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path} is new")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Checks of JSON Schemas themselves, which come from packages: valid, closed, of bounded work.

The metaschema of draft 2020-12 consists of eight documents that refer to each other dynamically; a
check against it costs 0.4 ms for each property. Here they are one document, which costs 0.07 ms and
is validated by the keywords whose work is counted.

A schema may only refer to places in itself, and what it refers to must be a schema, too: the
library would request other documents from their servers, or read them from files. `$id` and other
dialects in `$schema` are refused, because they change how references and keywords are read.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # has no types
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from host.domain.json import JsonObject
from host.domain.json_schema_keywords import Bounded, TooMuchWorkError, limited_work

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_META = "https://json-schema.org/draft/2020-12/"
_REFERENCES = ("$ref", "$dynamicRef")
_NO_MEANING = frozenset({"$comment", "default", "deprecated", "title"})
"""Keywords of the metaschema that say nothing about a schema's validity."""


def check_schema(schema: JsonObject) -> None:
    """Check that it is a JSON Schema on its own.

    Raises:
        ValueError: it is none, refers to other documents, or is too large; gives the reason.
    """
    try:
        with limited_work():
            _check(dict(schema), _metaschema())
            for target in _referred(schema):
                _check(target, _metaschema())
    except TooMuchWorkError as refused:
        raise ValueError("it is too large to be checked") from refused
    except RecursionError as refused:
        raise ValueError("it is nested too deeply") from refused


def _check(schema: object, metaschema: Any) -> None:
    error: ValidationError | None = best_match(metaschema.iter_errors(schema))
    if error is not None:
        raise ValueError(f"{error.json_path}: {error.message}"[:200])


def _referred(schema: JsonObject) -> Iterator[object]:
    """What the schema refers to, each place once.

    Raises:
        ValueError: that is not in the schema, or the schema changes how references are read.
    """
    resolver = Registry().with_resource("", Resource.from_contents(schema, DRAFT202012)).resolver()
    seen: set[str] = set()
    waiting: list[object] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, Mapping):
            waiting += value.values()
            _refuse_changes(value)
            for keyword in _REFERENCES:
                target = value.get(keyword)
                if not isinstance(target, str) or target in seen:
                    continue
                if not target.startswith("#"):
                    raise ValueError(f"{keyword} {target[:128]!r} leads out of the schema")
                seen.add(target)
                try:
                    yield resolver.lookup(target).contents
                except Unresolvable as missing:
                    raise ValueError(f"{keyword} {target[:128]!r} leads nowhere") from missing


def _refuse_changes(value: Mapping[Any, object]) -> None:
    identifier, dialect = value.get("$id"), value.get("$schema")
    # A property of such a name has a schema, not a text.
    fault = f"$id {identifier[:128]!r} is not supported" if isinstance(identifier, str) else None
    if isinstance(dialect, str) and dialect.removesuffix("#") != _DIALECT:
        fault = f"$schema {dialect[:128]!r} is not supported: the dialect is {_DIALECT}"
    if fault is not None:
        raise ValueError(fault)


@cache
def _metaschema() -> Any:
    """A validator of the metaschema as one document."""
    base = REGISTRY.contents(_DIALECT)
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for part in base["allOf"]:
        vocabulary = REGISTRY.contents(_META + part["$ref"])
        properties |= vocabulary["properties"]
        definitions |= vocabulary.get("$defs", {})
    document = {
        "type": base["type"],
        "properties": {k: _local(v) for k, v in {**properties, **base["properties"]}.items()},
        "$defs": {k: _local(v) for k, v in definitions.items()},
    }
    return Bounded(document, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _local(value: Any) -> Any:
    """A part of the metaschema, whose references lead into the one document."""
    if isinstance(value, list):
        return [_local(each) for each in value]
    if isinstance(value, str):
        return value.replace("meta/validation#", "#").replace("meta/core#", "#")
    if not isinstance(value, dict):
        return value
    found = {k: _local(v) for k, v in value.items() if k not in _NO_MEANING}
    if found.pop("$dynamicRef", None) is not None:
        found["$ref"] = "#"
    return found

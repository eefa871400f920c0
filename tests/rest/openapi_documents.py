"""Compares OpenAPI documents operation by operation: whatever differs is a line of text."""

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
_DEPTH_MAX = 5


def operations(document: Document) -> dict[tuple[str, str], Document]:
    """The operations by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def differences(ours: Document, theirs: Document, key: tuple[str, str]) -> Iterator[str]:
    """How one operation of `ours` differs from that of `theirs`.

    Descriptions, examples and answers from 400 on are not compared.
    """
    mine, other = operations(ours)[key], operations(theirs)[key]
    for name in ("operationId", "tags"):
        if mine[name] != other[name]:
            yield f"{name}: {other[name]} -> {mine[name]}"
    yield from _parameters(mine, other)
    yield from _body(ours, theirs, mine, other)
    yield from _answers(ours, theirs, mine, other)


def _parameters(mine: Document, other: Document) -> Iterator[str]:
    own = {(p["in"], p["name"]): p.get("required", False) for p in mine.get("parameters", ())}
    their = {(p["in"], p["name"]): p.get("required", False) for p in other.get("parameters", ())}
    for place, name in sorted(own.keys() | their.keys()):
        if own.get((place, name)) != their.get((place, name)):
            yield f"{place} {name}: {_need(their, place, name)} -> {_need(own, place, name)}"


def _need(known: Mapping[tuple[str, str], bool], place: str, name: str) -> str:
    needed = known.get((place, name))
    return "absent" if needed is None else "required" if needed else "optional"


def _body(ours: Document, theirs: Document, mine: Document, other: Document) -> Iterator[str]:
    own, their = mine.get("requestBody"), other.get("requestBody")
    if own is None or their is None:
        if own is not their:
            yield f"body: {their is not None} -> {own is not None}"
        return
    if own.get("required", False) != their.get("required", False):
        yield f"body required: {their.get('required')} -> {own.get('required')}"
    yield from _content(ours, theirs, own, their, "body")


def _answers(ours: Document, theirs: Document, mine: Document, other: Document) -> Iterator[str]:
    own = {code: answer for code, answer in mine["responses"].items() if code < "400"}
    their = {code: answer for code, answer in other["responses"].items() if code < "400"}
    if own.keys() != their.keys():
        yield f"codes: {', '.join(sorted(their))} -> {', '.join(sorted(own))}"
    # The answer with the result: 202 beside 200 has none of its own.
    yield from _content(ours, theirs, own[min(own)], their[min(their)], "answer")


def _content(
    ours: Document, theirs: Document, own: Document, their: Document, where: str
) -> Iterator[str]:
    mine, other = own.get("content", {}), their.get("content", {})
    if list(mine) != list(other):
        yield f"{where} media: {', '.join(other)} -> {', '.join(mine)}"
        return
    for media in mine:
        found = shape(ours, mine[media]["schema"])
        wanted = shape(theirs, other[media]["schema"])
        for path in sorted(found.keys() | wanted.keys()):
            if found.get(path) != wanted.get(path):
                yield (
                    f"{where}{path}: {wanted.get(path, 'absent')} -> {found.get(path, 'absent')}"
                )


def shape(document: Document, schema: Document) -> dict[str, str]:
    """Type, and whether it may be absent or null, of each part of a schema by its path."""
    return dict(_parts(document, schema, "", depth=0))


def _parts(
    document: Document, schema: Document, path: str, *, depth: int
) -> Iterator[tuple[str, str]]:
    schema = resolved(document, schema)
    if depth > _DEPTH_MAX:
        return
    yield path, _kind(schema)
    if "items" in schema:
        yield from _parts(document, schema["items"], f"{path}[]", depth=depth + 1)
    inner = schema.get("additionalProperties")
    if isinstance(inner, dict) and inner:
        yield from _parts(document, inner, f"{path}{{}}", depth=depth + 1)
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        for at, kind in _parts(document, part, here, depth=depth + 1):
            yield at, kind + ("" if at != here or name in required else "?")


def resolved(document: Document, schema: Document) -> Document:
    """A schema without references, and without null as one of two choices."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif choices := [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]:
            schema = choices[0]
        elif len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        else:
            return schema


def _kind(schema: Document) -> str:
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    form = str(schema.get("format", ""))
    # Corda writes what JSON Schema calls date-time as datetime.
    form = {"datetime": "date-time", "int32": "", "int64": "", "binary": ""}.get(form, form)
    # Corda gives its enumerations no type.
    kind = "string" if "enum" in schema else str(schema.get("type", "any"))
    return kind + (f" {form}" if form else "")

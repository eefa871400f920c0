"""Imports and exports of a compiled component, as text; nothing of it is executed."""

from collections.abc import Mapping
from dataclasses import dataclass

from wasmtime import Engine
from wasmtime import component as wc
from wasmtime.component._types import ComponentExtern

_PRIMITIVES: Mapping[type, str] = {
    wc.Bool: "bool",
    wc.U8: "u8",
    wc.U16: "u16",
    wc.U32: "u32",
    wc.U64: "u64",
    wc.S8: "s8",
    wc.S16: "s16",
    wc.S32: "s32",
    wc.S64: "s64",
    wc.F32: "f32",
    wc.F64: "f64",
    wc.Char: "char",
    wc.String: "string",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Imports and exports: name -> type as text; members of an instance as `instance#member`."""

    imports: Mapping[str, str]
    exports: Mapping[str, str]


def shape_of(engine: Engine, component: wc.Component) -> Shape:
    """The imports and exports of a compiled component."""
    kind = component.type
    return Shape(_flat(engine, kind.imports(engine)), _flat(engine, kind.exports(engine)))


def _flat(engine: Engine, items: Mapping[str, ComponentExtern]) -> Mapping[str, str]:
    flat: dict[str, str] = {}
    for name, extern in items.items():
        item = extern.ty
        if isinstance(item, wc.ComponentInstanceType):
            members = item.exports(engine)
            if not members:
                flat[name] = "instance"
            flat.update({f"{name}#{m}": type_text(t.ty) for m, t in members.items()})
        else:
            flat[name] = type_text(item)
    return flat


def type_text(item: object) -> str:
    """A type in WIT's notation; `other` kinds by their class name, so that they match nothing."""
    if isinstance(item, wc.FuncType):
        parameters = ", ".join(f"{name}: {type_text(kind)}" for name, kind in item.params)
        result = item.result
        return f"func({parameters})" + (f" -> {type_text(result)}" if result is not None else "")
    if isinstance(item, wc.ResultType):
        ok, err = item.ok, item.err
        if err is None:
            return f"result<{type_text(ok)}>" if ok is not None else "result"
        return f"result<{type_text(ok) if ok is not None else '_'}, {type_text(err)}>"
    return _PRIMITIVES.get(type(item), type(item).__name__)

"""The structures that the C API's functions get are those that the engine's binding declares."""

import ctypes

import pytest
from wasmtime import _ffi as ffi

from sandbox.c_api import Argument, Value

DECLARED = ffi.wasmtime_component_val_t
OF = DECLARED.of.offset
FIELDS = dict(DECLARED._fields_)["of"]._fields_
STRING = dict(FIELDS)["string"]
RESULT = dict(FIELDS)["result"]


@pytest.mark.parametrize("ours", [Value, Argument])
def test_a_value_has_the_declared_size_and_kind(ours):
    assert ctypes.sizeof(ours) == ctypes.sizeof(DECLARED)
    assert ctypes.alignment(ours) == ctypes.alignment(DECLARED)
    assert ours.kind.offset == DECLARED.kind.offset
    assert ours.kind.size == DECLARED.kind.size


def test_a_value_shows_the_declared_strings():
    text = ctypes.create_string_buffer(b"text")
    declared = DECLARED()
    declared.kind = ffi.WASMTIME_COMPONENT_STRING.value
    declared.of.string.size = 4
    declared.of.string.data = ctypes.cast(text, ctypes.POINTER(ctypes.c_uint8))
    value = Value.from_buffer(declared)
    assert (value.first, value.second) == (4, ctypes.addressof(text))
    assert (Argument.size.offset, Argument.data.offset) == (
        OF + STRING.size.offset,
        OF + STRING.data.offset,
    )


@pytest.mark.parametrize("is_ok", [False, True])
def test_a_value_shows_the_declared_results(is_ok):
    inner, declared = DECLARED(), DECLARED()
    declared.kind = ffi.WASMTIME_COMPONENT_RESULT.value
    declared.of.result.is_ok = is_ok
    declared.of.result.val = ctypes.pointer(inner)
    value = Value.from_buffer(declared)
    assert (bool(value.first & 0xFF), value.second) == (is_ok, ctypes.addressof(inner))
    assert RESULT.is_ok.size == 1

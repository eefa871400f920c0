"""WebAssembly text to binary, for components that are written by hand."""

from wasmtime import WasmtimeError, wat2wasm

from sandbox.errors import ComponentRefusedError


def assemble(text: str) -> bytes:
    """The binary of a module or component in text form.

    Raises:
        ComponentRefusedError: the text is not well formed.
    """
    try:
        return bytes(wat2wasm(text))
    except WasmtimeError as exc:
        raise ComponentRefusedError(f"text: {' '.join(str(exc).split())[:500]}") from exc

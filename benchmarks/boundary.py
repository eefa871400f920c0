"""What crossing the wall costs: a call with a short text, one with a mebibyte, and metering.

Against the Python binding's own way across (a typed component call), and against an engine that
neither counts fuel nor watches epochs nor makes NaN canonical.
"""

from wasmtime import Config, Engine, wat2wasm
from wasmtime import Store as BindingStore
from wasmtime import component as wc

from benchmarks.measure import Measurement, paired_medians
from sandbox.engine import new_engine
from sandbox.stores import Store

_ENDLESS = 1 << 60
_PAGES = 64
_TEXT = f"""
(component
  (core module $m
    (memory (export "memory") {_PAGES})
    (global $top (mut i32) (i32.const 1024))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    (func (export "spin") (param i32 i32) (result i32) (local $n i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $n) (i32.const 7))))
        (br_if $again (i32.lt_u
          (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000000))))
      (i32.store (i32.const 8) (local.get $sum))
      (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 0))
      (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $i (instantiate $m))
  (func (export "echo") (param "text" string) (result string)
    (canon lift (core func $i "echo") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc"))))
  (func (export "spin") (param "text" string) (result string)
    (canon lift (core func $i "spin") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")))))
"""


def crossing() -> list[Measurement]:
    """Calls and metering."""
    metered = _Exports(new_engine(), is_metered=True)
    bare = _Exports(Engine(Config()), is_metered=False)
    return [
        _crossing("a call, 32 bytes there and back", metered, 32, repeats=5_000),
        _crossing("a call, 1 MiB there and back", metered, 1 << 20, repeats=30),
        _metering(metered, bare),
    ]


class _Exports:
    """The component's exports in two instances of an engine: ours, and the Python binding's."""

    def __init__(self, engine: Engine, *, is_metered: bool) -> None:
        self._ours, self._theirs = Store(engine), BindingStore(engine)
        for store in (self._ours, self._theirs) if is_metered else ():
            store.set_fuel(_ENDLESS)
            store.set_epoch_deadline(_ENDLESS)
        compiled, linker = wc.Component(engine, wat2wasm(_TEXT)), wc.Linker(engine)
        self._ours.instantiate(linker, compiled)
        instance = linker.instantiate(self._theirs, compiled)
        self._indices, self._functions = {}, {}
        for name in ("echo", "spin"):
            index = compiled.get_export_index(name)
            assert index is not None  # the component above exports it
            function = instance.get_func(self._theirs, index)
            assert function is not None  # as above
            self._indices[name], self._functions[name] = index, function

    def ours(self, name: str, text: bytes) -> None:
        """Call as the sandbox does."""
        self._ours.call(self._indices[name], text, size_max=len(text))

    def theirs(self, name: str, text: str) -> None:
        """Call as the Python binding does."""
        self._functions[name](self._theirs, text)


def _crossing(name: str, exports: _Exports, size: int, *, repeats: int) -> Measurement:
    data, text = b"x" * size, "x" * size
    ours, theirs = paired_medians(
        lambda: exports.ours("echo", data), lambda: exports.theirs("echo", text), repeats=repeats
    )
    return Measurement(
        name=name,
        value=ours * 1e6,
        unit="µs",
        against=f"wasmtime-py's typed call ({theirs * 1e6:.1f} µs)",
        ratio=theirs / ours,
    )


def _metering(metered: _Exports, bare: _Exports) -> Measurement:
    ours, theirs = paired_medians(
        lambda: metered.ours("spin", b""), lambda: bare.ours("spin", b""), repeats=200
    )
    return Measurement(
        name="a million turns of an integer loop, metered",
        value=ours * 1e6,
        unit="µs",
        against=f"the same without fuel, epochs and NaN rules ({theirs * 1e6:.0f} µs)",
        ratio=theirs / ours,
        note="the worst case: nothing but a loop",
    )

"""Components by hand, as WebAssembly text: a contract and a workflow around a body of code."""

_LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
  (core instance $libc (instantiate $libc))
"""
_REALLOC = "(i32.const 4096)"
_DESCRIBE = """
    (data (i32.const 32) "{}")
    (func (export "describe") (result i32)
      (i32.store (i32.const 48) (i32.const 32)) (i32.store (i32.const 52) (i32.const 2))
      (i32.const 48))
"""
_LIFT_DESCRIBE = """
  (func (export "describe") (result string)
    (canon lift (core func $main "describe") (memory (core memory $libc "memory"))))
"""


def contract_text(
    verify: str,
    *,
    declarations: str = "",
    imports: str = "",
    extra: str = "",
    realloc: str = _REALLOC,
    encoding: str = "",
) -> str:
    """A self-contained contract.

    Args:
        verify: body of (param i32 i32) (result i32): the answer's address; 80 accepts.
        declarations: of its core module.
        imports: of the component.
        extra: further parts of the component.
        realloc: body of the function that allocates memory for the argument.
        encoding: canonical option of the strings.
    """
    return f"""(component {imports} {_LIBC.format(realloc=realloc)}
  (core module $main
    (import "libc" "memory" (memory 1))
    {declarations} {_DESCRIBE}
    (func $verify (export "verify") (param i32 i32) (result i32) {verify}))
  (core instance $main (instantiate $main (with "libc" (instance $libc))))
  (func (export "verify") (param "transaction" string) (result (result (error string)))
    (canon lift (core func $main "verify") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc")) {encoding}))
  {_LIFT_DESCRIBE} {extra})"""


def workflow_text(run: str, *, interface: str = "cordbox:guest/flow@1.0.0") -> str:
    """A self-contained workflow that imports `now`: `run` as `verify` above may call $now."""
    return f"""(component
  (import "{interface}" (instance $flow
    (export "now" (func (param "request" string) (result (result string (error string)))))))
  {_LIBC.format(realloc=_REALLOC)}
  (core func $now (canon lower (func $flow "now") (memory (core memory $libc "memory"))
    (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "now" (func $now (param i32 i32 i32)))
    {_DESCRIBE}
    (func (export "run") (param i32 i32) (result i32) {run}))
  (core instance $main (instantiate $main (with "libc" (instance $libc))
    (with "host" (instance (export "now" (func $now))))))
  (func (export "run") (param "start" string) (result (result string (error string)))
    (canon lift (core func $main "run") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc"))))
  {_LIFT_DESCRIBE})"""

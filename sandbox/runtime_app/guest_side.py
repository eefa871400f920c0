"""What both runtimes do: collect the bundle, import it once, and call the SDK's entry points.

Whatever guest code raises becomes an `err` answer; only the engine's own traps end an instance.
"""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import base64
import gc
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from json import dumps, loads
from types import ModuleType
from typing import Any

import building  # noqa: F401  # imported for its effect
import bundle
import output
import records
from componentize_py_types import Err

__tracebackhide__ = True

_FRAMES_MAX = 50
_CAUSES_MAX = 20
_parts: list[str] = []
_entry_point: dict[str, ModuleType] = {}
_broken: dict[str, Any] = {}


def load(last: bool, part: str) -> str:  # noqa: FBT001  # the WIT's signature
    """Collect one part of the bundle; with the last one, import the entry modules in order.

    The parts, joined, are base64 of zlib of JSON {"files": {path: source}, "entry": [module, ..]}.
    Answers "" or base64 of the report of a failure, which every later call answers, too.
    """
    _parts.append(part)
    if not last:
        return ""
    content = loads(zlib.decompress(base64.b64decode("".join(_parts))))
    _parts.clear()
    bundle.install(content["files"], output.OUTPUT, output.ERRORS)
    try:
        for name in content["entry"]:
            import_module(name)
        _entry_point["guest"] = import_module("cordapp.guest")
    except BaseException as exc:  # noqa: BLE001  # reported by the exports
        _broken.update(report(exc))
        _forget(exc)
    gc.collect()
    gc.freeze()
    return base64.b64encode(dumps(_broken).encode()).decode() if _broken else ""


def guest() -> ModuleType:
    """The SDK's module `cordapp.guest`."""
    return _entry_point["guest"]


def describe() -> str:
    """`describe`; its failure is answered as {"error": report}."""
    if _broken:
        return dumps({"error": _broken})
    try:
        return text(guest().describe())
    except BaseException as exc:  # noqa: BLE001  # becomes the answer
        return dumps({"error": report(exc)})


def verify(transaction: str) -> None:
    """`verify`; an exception of the guest is a refusal."""
    if _broken:
        raise Err(_refused(_broken))
    try:
        guest().verify(transaction)
    except BaseException as exc:  # noqa: BLE001  # becomes the verdict
        raise Err(_payload(exc, "Refused") or _refused(report(exc))) from None


def run(start: str, host: Callable[[str, str, str], str]) -> str:
    """`run`; an exception of the guest is the flow's failure."""
    if _broken:
        raise Err(dumps(_broken))
    streams = (output.OUTPUT, output.ERRORS, records.RECORDS)
    for stream in streams:
        stream.begin(lambda line: host("log", "write", line))
    try:
        return text(guest().run(start, host))
    except BaseException as exc:  # noqa: BLE001  # becomes the outcome
        raise Err(_payload(exc, "Failed") or dumps(report(exc))) from None
    finally:
        for stream in streams:
            stream.end()


def text(value: object) -> str:
    """`value`, if the boundary can carry it.

    Raises:
        TypeError: not a text.
        UnicodeEncodeError: it holds lone surrogates.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    value.encode()
    return value


def report(exc: BaseException) -> dict[str, Any]:
    """{"type", "message", "notes", "trace", "causes"} of an exception.

    The trace names the bundle's files. The causes are what it was raised from, what was being
    handled, and the members of a group: each {"link", "type", "message", "notes", "trace"}.
    """
    causes = [{"link": link, **_facts(cause)} for link, cause in _causes(exc, {id(exc)})]
    return {**_facts(exc), "causes": causes[:_CAUSES_MAX]}


def _facts(exc: BaseException) -> dict[str, Any]:
    try:
        message = str(exc)
    except BaseException:  # noqa: BLE001  # a guest's __str__ may do anything
        message = ""
    trace = []
    step = exc.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(("/", "<")):
            frame = {"file": code.co_filename, "line": step.tb_lineno, "function": code.co_name}
            trace.append(frame)
        step = step.tb_next
    if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
        trace.append({"file": exc.filename, "line": exc.lineno, "function": "<module>"})
    notes = [note for note in getattr(exc, "__notes__", ()) if isinstance(note, str)]
    return {
        "type": type(exc).__name__,
        "message": message,
        "notes": notes,
        "trace": trace[-_FRAMES_MAX:],
    }


def _causes(exc: BaseException, seen: set[int]) -> Iterator[tuple[str, BaseException]]:
    linked = [("member", member) for member in getattr(exc, "exceptions", ())]
    if exc.__cause__ is not None:
        linked.append(("cause", exc.__cause__))
    elif exc.__context__ is not None and not exc.__suppress_context__:
        linked.append(("context", exc.__context__))
    for link, cause in linked:
        if isinstance(cause, BaseException) and id(cause) not in seen and len(seen) < _CAUSES_MAX:
            seen.add(id(cause))
            yield link, cause
            yield from _causes(cause, seen)


def _forget(exc: BaseException) -> None:
    """Drop the frames of an exception that has been reported: they hold objects in memory."""
    for _, cause in (("", exc), *_causes(exc, {id(exc)})):
        cause.__traceback__ = None


def _refused(failure: dict[str, Any]) -> str:
    reason = {"type": failure["type"], "message": failure["message"]}
    return dumps({"failures": [{"contract": "", "states": [], **reason}]})


def _payload(exc: BaseException, kind: str) -> str | None:
    """The payload of the SDK's own exception `kind`; None for any other exception."""
    expected = getattr(sys.modules.get("cordapp.guest"), kind, None)
    if not isinstance(expected, type) or not isinstance(exc, expected):
        return None
    try:
        return text(exc.payload)
    except (AttributeError, TypeError, UnicodeEncodeError):
        return None

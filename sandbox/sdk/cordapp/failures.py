"""What an exception tells: message, notes, place, and the exceptions that it came from."""

import sys
from collections.abc import Iterator
from typing import Any

from cordapp.registry import code_of

FRAMES_MAX = 50
CAUSES_MAX = 20


def failure_of(exc: BaseException) -> dict[str, Any]:
    """`{"type", "message", "notes", "trace", "causes"}` of an exception, as JSON.

    `trace` has the frames of the CorDapp's own files, outermost first. `causes` are, nearest first,
    what an exception was raised from (`"link": "cause"`), what was being handled (`"context"`),
    and the members of a group (`"member"`), each with the same fields but no causes of its own;
    `"of"` is the number of the exception that it belongs to: 0 for `exc`, 1 for the first cause.
    `type` is the exception's code if it has one, and `class` its class then. Notes and causes are
    left out where there are none.
    """
    causes = [
        {"link": link, "of": of, "type": type(cause).__name__, **_facts(cause)}
        for link, of, cause in _causes(exc)
    ]
    code, name = getattr(exc, "code", None), type(exc).__name__
    kind = {"type": code, "class": name} if isinstance(code, str) else {"type": name}
    return {**kind, **code_of(exc), **_facts(exc), **({"causes": causes} if causes else {})}


def _message(exc: BaseException) -> str:
    """The exception's text, or the name of its class if there is none."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001  # the CorDapp's own method
        text = ""
    return text or type(exc).__name__


def _causes(exc: BaseException) -> list[tuple[str, int, BaseException]]:
    """Link, number of the exception that it belongs to, and exception; nearest first."""
    found: list[tuple[str, int, BaseException]] = []
    seen, waiting = {id(exc)}, [(link, 0, each) for link, each in _linked(exc)]
    while waiting and len(found) < CAUSES_MAX:
        link, of, current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        found.append((link, of, current))
        waiting = [(link, len(found), each) for link, each in _linked(current)] + waiting
    return found


def _linked(exc: BaseException) -> Iterator[tuple[str, BaseException]]:
    for member in getattr(exc, "exceptions", ()):
        if isinstance(member, BaseException):
            yield "member", member
    if exc.__cause__ is not None:
        yield "cause", exc.__cause__
    elif exc.__context__ is not None and not exc.__suppress_context__:
        yield "context", exc.__context__


def _facts(exc: BaseException) -> dict[str, Any]:
    notes = [note for note in getattr(exc, "__notes__", ()) if isinstance(note, str)]
    return {
        "message": _message(exc),
        **({"notes": notes} if notes else {}),
        "trace": list(_frames(exc))[-FRAMES_MAX:],
    }


def _frames(exc: BaseException) -> Iterator[dict[str, Any]]:
    """Frames of the CorDapp's own files; paths as in the bundle."""
    step = exc.__traceback__
    while step is not None:
        code, names = step.tb_frame.f_code, step.tb_frame.f_globals
        module = names.get("__name__", "")
        top = module.partition(".")[0]
        is_own = top not in sys.stdlib_module_names and top != "cordapp"
        if is_own and not names.get("__tracebackhide__"):
            package = "/__init__.py" if code.co_filename.endswith("__init__.py") else ".py"
            file = module.replace(".", "/") + package
            yield {"file": file, "line": step.tb_lineno, "function": code.co_name}
        step = step.tb_next
    if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
        yield {"file": exc.filename, "line": exc.lineno, "function": "<module>"}

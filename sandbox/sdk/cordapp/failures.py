"""What an exception tells: message, notes, place, and the exceptions that it came from.

All texts are cut here: the host reads a failure of less than 128 KiB.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

from cordapp.registry import code_of

MESSAGE_CHARACTERS_MAX = 8192
"""Of a failure's text; the host keeps 8 KiB of it."""
_JSON_CHARACTERS_MAX = 120_000
_CAUSES_MAX = 20
_CAUSE_MESSAGE_CHARACTERS_MAX = 1000
_NOTES_MAX = 10
_LINE_CHARACTERS_MAX = 500
_FRAMES_MAX = 50
_FRAMES_OF_CAUSE_MAX = 10
_NAME_CHARACTERS_MAX = 150
_UUID_ADVICE = "self.random.uuid() of a flow makes a random UUID, as text"
_EQUAL_FRAMES_MAX = 3
"""Equal frames in a row, as Python prints them; the last one counts the others."""


def failure_of(exc: BaseException) -> dict[str, Any]:
    """`{"type", "message", "notes", "trace", "causes"}` of an exception, as JSON.

    `trace` has the frames of the CorDapp's own files, outermost first; of equal ones in a row it
    has three, and the third counts the others (`"repeated"`). `causes` are, nearest first, what an
    exception was raised from (`"link": "cause"`), what was being handled (`"context"`), and the
    members of a group (`"member"`), each with the same fields but no causes of its own; `"of"` is
    the number of the exception that it belongs to: 0 for `exc`, 1 for the first cause.
    `type` is the exception's code if it has one, and `class` its class then. Notes and causes are
    left out where there are none.
    """
    causes = [
        {
            "link": link,
            "of": of,
            "type": _name(cause),
            **_facts(cause, _CAUSE_MESSAGE_CHARACTERS_MAX, _FRAMES_OF_CAUSE_MAX),
        }
        for link, of, cause in _causes(exc)
    ]
    code = None if isinstance(exc, SystemExit) else getattr(exc, "code", None)
    name = _name(exc)
    kind = {"type": _cut(code, 255), "class": name} if isinstance(code, str) else {"type": name}
    facts = _facts(exc, MESSAGE_CHARACTERS_MAX, _FRAMES_MAX)
    listed = (causes, facts.get("notes"), facts["trace"])
    while (last := next(filter(None, listed), None)) and _is_too_long([facts, causes]):
        last.pop()
    return {**kind, **code_of(exc), **facts, **({"causes": causes} if causes else {})}


def message_of(exc: BaseException) -> str:
    """The exception's text, or the name of its class if there is none; cut to 8192 characters."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001  # the CorDapp's own method
        text = ""
    return _cut(text or type(exc).__name__, MESSAGE_CHARACTERS_MAX)


def _is_too_long(value: object) -> bool:
    return len(json.dumps(value)) > _JSON_CHARACTERS_MAX


def _name(exc: BaseException) -> str:
    return _cut(type(exc).__name__, 255)


def _cut(text: str, characters_max: int) -> str:
    if len(text) <= characters_max:
        return text
    note = f" [cut: {characters_max} of {len(text)} characters]"
    return text[: characters_max - len(note)] + note


def _causes(exc: BaseException) -> list[tuple[str, int, BaseException]]:
    """Link, number of the exception that it belongs to, and exception; nearest first."""
    found: list[tuple[str, int, BaseException]] = []
    waiting = [(link, 0, each) for link, each in _linked(exc)]
    while waiting and len(found) < _CAUSES_MAX:
        link, of, current = waiting.pop(0)
        if current is exc or any(current is each for _, _, each in found):
            continue
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


def _advise(exc: BaseException) -> None:
    """Name what the SDK has in the place of a call that the sandbox refuses."""
    if isinstance(exc, OSError) and message_of(exc).startswith("uuid.uuid"):
        with suppress(AttributeError, TypeError):
            if _UUID_ADVICE not in getattr(exc, "__notes__", ()):
                exc.add_note(_UUID_ADVICE)


def _facts(exc: BaseException, message_max: int, frames_max: int) -> dict[str, Any]:
    _advise(exc)
    noted = getattr(exc, "__notes__", ())
    notes = [_cut(note, _LINE_CHARACTERS_MAX) for note in noted if isinstance(note, str)]
    return {
        "message": _cut(message_of(exc), message_max),
        **({"notes": notes[:_NOTES_MAX]} if notes else {}),
        "trace": _folded(_frames(exc))[-frames_max:],
    }


def _folded(frames: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The frames of a recursion: the first of equal ones in a row, and how often they go on."""
    found: list[dict[str, Any]] = []
    for frame, equal in groupby(frames):
        count = sum(1 for _ in equal)
        found += (dict(frame) for _ in range(min(count, _EQUAL_FRAMES_MAX)))
        if count > _EQUAL_FRAMES_MAX:
            found[-1]["repeated"] = count - _EQUAL_FRAMES_MAX
    return found


def _frames(exc: BaseException) -> Iterator[dict[str, Any]]:
    """Frames of the CorDapp's own files; paths as in the bundle."""
    step = exc.__traceback__
    while step is not None:
        code, names = step.tb_frame.f_code, step.tb_frame.f_globals
        module = names.get("__name__", "")
        top = module.partition(".")[0]
        is_own = top not in sys.stdlib_module_names and top != "cordapp"
        is_made = code.co_filename.startswith("<")  # a dataclass's `__init__` is in no file
        if is_own and not is_made and not names.get("__tracebackhide__"):
            package = "/__init__.py" if code.co_filename.endswith("__init__.py") else ".py"
            file = module.replace(".", "/") + package
            yield _frame(file, step.tb_lineno, code.co_name)
        step = step.tb_next
    if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
        yield _frame(exc.filename, exc.lineno, "<module>")


def _frame(file: str, line: int, function: str) -> dict[str, Any]:
    names = (name[-_NAME_CHARACTERS_MAX:] for name in (file, function))
    return {"file": next(names), "line": line, "function": next(names)}

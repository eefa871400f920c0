"""Exceptions of a guest as exceptions of this process, with tracebacks into the CorDapp's files.

pytest, debuggers and `traceback` show a failure of the sandbox as they show one of plain Python:
the source around each line, and what the exception was raised from.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from host.domain.failure_lines import is_place, place_lines

_LINE_MAX = 100_000
_MEMBERS = re.compile(r" \(\d+ sub-exceptions?\)\Z")


class GuestError(Exception):
    """An exception that the guest raised; a class of its own for each type."""


def rebuilt(failure: Mapping[str, Any], folders: Sequence[Path]) -> BaseException:
    """The exception of a guest's failure (host-api.md, `run`), with those that it came from.

    Args:
        failure: `type`, `message`, `notes`, `trace` and `causes`; parts in another form are left
            out.
        folders: where the CorDapp's files lie.
    """
    listed = failure.get("causes")
    causes = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    return _Tree([failure, *causes], folders).exception(0)


def chain_of(exc: BaseException) -> Iterator[BaseException]:
    """The exception, and those that it came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            members = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
            waiting += [current.__cause__, current.__context__, *members]


class _Tree:
    """A failure and its causes: the number of one that another belongs to is always lower."""

    def __init__(self, nodes: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> None:
        self._nodes = nodes
        self._folders = folders
        self._below: dict[int, list[tuple[str, int]]] = {}
        for number, node in enumerate(nodes[1:], start=1):
            of = node.get("of")
            parent = of if isinstance(of, int) and 0 <= of < number else number - 1
            self._below.setdefault(parent, []).append((str(node.get("link")), number))

    def exception(self, number: int) -> BaseException:
        node, below = self._nodes[number], self._below.get(number, [])
        members = [self.exception(n) for link, n in below if link == "member"]
        kind = node.get("class") or node.get("type")
        made = _made(str(kind), str(node.get("message")), members)
        for link, other in below:
            if link == "cause":
                made.__cause__ = self.exception(other)
            elif link == "context":
                made.__context__ = self.exception(other)
        notes, frames = node.get("notes"), node.get("trace")
        for note in notes if isinstance(notes, list) else ():
            made.add_note(str(note))
        for line in place_lines(frames if isinstance(frames, list | tuple) else ()):
            if not is_place(line):
                made.add_note(line)
        return made.with_traceback(_traceback(frames, self._folders))


def _made(kind: str, message: str, members: Sequence[BaseException]) -> BaseException:
    name, facts = kind.replace("\0", "") or "Exception", {"__module__": "builtins"}
    if members:
        group: Any = type(name, (BaseExceptionGroup,), facts)
        grouped: BaseException = group(_MEMBERS.sub("", message), members)
        return grouped
    single: Any = type(name, (GuestError,), facts)
    made: BaseException = single(message)
    return made


def _traceback(frames: object, folders: Sequence[Path]) -> TracebackType | None:
    trace = None
    for frame in reversed(frames if isinstance(frames, list | tuple) else []):
        match frame:
            case {"file": str(file), "line": int(line), "function": str(function)}:
                where = min(max(line, 1), _LINE_MAX)
                here = _frame(_found(file, folders), where, function)
                # Without an instruction: its columns would be those of the code that is made here.
                trace = TracebackType(trace, here, -1, where)
            case _:
                pass
    return trace


def _found(file: str, folders: Sequence[Path]) -> str:
    """The file's path on this machine; its path in the bundle if it is not here."""
    for folder in folders:
        path = folder / file
        if ".." not in path.parts and path.is_file():
            return str(path)
    return file


def _frame(file: str, line: int, function: str) -> FrameType:
    """A frame that stands at a line of a file."""
    first = _first_line(file, line)
    text = "\n" * (first - 1) + "def f():" + "\n" * (line - first) + " return _()"
    codes = compile(text, file, "exec", dont_inherit=True).co_consts
    code = next(const for const in codes if isinstance(const, CodeType))
    code = code.replace(co_name=function, co_qualname=function)
    names = {"__name__": "cordapp_guest", "_": lambda: sys._getframe(1)}  # noqa: SLF001
    made: FrameType = FunctionType(code, names)()
    return made


def _first_line(file: str, line: int) -> int:
    """The line where the innermost function around a line begins; the line itself if none does."""
    return max((first for first, last in _functions(file) if first <= line <= last), default=line)


@cache
def _functions(file: str) -> tuple[tuple[int, int], ...]:
    """First and last line of each function of a file."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )

"""The lines of a failure's trace: places in the flow's own code, and what the failure came from.

As in Java, the places of the failure itself come first, the innermost last, then its causes, the
nearest first:

    note: order 7
    iou/flows.py:31 call
    caused by KeyError: 'price'
    iou/flows.py:29 call

Equal places in a row, those of a recursion, are folded as Python folds them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from types import MappingProxyType

from host.domain.guest_text import TRACE_LINES_MAX

_HEADS: Mapping[str, str] = MappingProxyType(
    {"cause": "caused by ", "context": "while handling ", "member": "in the group: "}
)
_CAUSE_STARTS = tuple(_HEADS.values())
_NOTE = "note: "
_REPETITION = re.compile(r"\[Previous line repeated ([0-9]{1,9}) more times?\]")
_REPEATED_MAX = 999_999_999
_EQUAL_LINES_MAX = 3
_OWN_LINES_MAX = 30
"""Lines of the failure itself, where causes follow."""


def lines_of(failure: Mapping[str, object]) -> list[str]:
    """The lines of a guest's failure (host-api.md, `run`); what has another form is left out."""
    own, listed = list(_own(failure)), failure.get("causes")
    causes = (
        [cause for cause in listed if isinstance(cause, dict)] if isinstance(listed, list) else []
    )
    if not causes:
        return own
    lines = own[-_OWN_LINES_MAX:]
    for cause in causes:
        head = _HEADS.get(str(cause.get("link")), _HEADS["cause"])
        lines += [_one_line(f"{head}{cause.get('type')}: {cause.get('message')}"), *_own(cause)]
    return lines[:TRACE_LINES_MAX]


def is_place(line: str) -> bool:
    """Whether a line names a place in the flow's code."""
    return not line.startswith((*_CAUSE_STARTS, _NOTE)) and not _REPETITION.fullmatch(line)


def place_lines(frames: Sequence[object]) -> Iterator[str]:
    """A line for each place, and one for the repetitions of a place.

    Args:
        frames: `{"file", "line", "function"}` each; `"repeated"` tells how often one goes on.
    """
    for (line, repeated), equal in groupby(frames, lambda frame: (_place(frame), _repeated(frame))):
        count = sum(1 for _ in equal)
        yield from [line] * min(count, _EQUAL_LINES_MAX)
        more = max(count - _EQUAL_LINES_MAX, 0) + repeated
        if more:
            yield f"[Previous line repeated {more} more time{'s' if more > 1 else ''}]"


def own_places(lines: Sequence[str]) -> list[tuple[str, int]]:
    """The places of the failure itself, the innermost last, and how often each goes on."""
    found: list[tuple[str, int]] = []
    for line in next(_blocks(lines), []):
        repetition = _REPETITION.fullmatch(line)
        if repetition and found:
            found[-1] = (found[-1][0], int(repetition[1]))
        elif is_place(line):
            found.append((line, 0))
    return found


def behind(lines: Sequence[str]) -> list[str]:
    """The lines that are no places of the failure itself: its notes, and its causes."""
    own, *causes = _blocks(lines)
    notes = (line for line in own if line.startswith(_NOTE))
    return [*notes, *chain.from_iterable(causes)]


def summary(message: str, lines: Sequence[str]) -> str:
    """One text of message, place, notes and causes."""
    texts: list[str] = []
    for block in _blocks(lines):
        head = block.pop(0) if texts else message
        places = _places(block)
        texts.append(f"{head} (at {places[-1]})" if places else head)
        texts += [line for line in block if line.startswith(_NOTE)]
    return "; ".join(texts) or message


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """The lines of the failure itself, then those of each cause, its head first."""
    block: list[str] = []
    for line in lines:
        if line.startswith(_CAUSE_STARTS):
            yield block
            block = []
        block.append(line)
    yield block


def _places(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if is_place(line)]


def _own(failure: Mapping[str, object]) -> Iterator[str]:
    notes, frames = failure.get("notes"), failure.get("trace")
    for note in notes if isinstance(notes, list) else ():
        yield _one_line(f"{_NOTE}{note}")
    yield from place_lines(frames if isinstance(frames, list) else ())


def _place(frame: object) -> str:
    if not isinstance(frame, dict):
        return str(frame)
    return f"{frame.get('file')}:{frame.get('line')} {frame.get('function')}"


def _repeated(frame: object) -> int:
    """How often the frame goes on; 0 where a guest says something else."""
    count = frame.get("repeated") if isinstance(frame, dict) else 0
    return count if type(count) is int and 0 < count <= _REPEATED_MAX else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())

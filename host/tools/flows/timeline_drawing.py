"""A conversation as a drawing: a lifeline for each lane, arrows for messages, hatches for waits.

Pure. Rows have equal height regardless of the time between them; long pauses are marked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from host.tools.flows.conversation import Conversation, Row, RowKind
from host.tools.flows.timeline_text import elapsed

_LEFT, _TOP, _ROW, _GAP = 96, 74, 30, 40
_LANE_MIN, _WIDTH = 270, 1130
_BAR = 8
_CHARACTER = 7.6
_GAP_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A row and its height on the page; `pause` precedes it, in milliseconds."""

    row: Row
    y: int
    pause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A part of a lifeline: its style (`bar`, `wait`, `inner`) and position."""

    look: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A lane with rows: its line and the marks on it."""

    x: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row: an arrow to `end_x`, or words that begin at `x`, with hints for the pointer."""

    y: int
    elapsed: str
    x: int
    words: str
    look: str
    end_x: int | None = None
    step: int | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The positions of all elements, in the drawing's units.

    Attributes:
        left: where rows begin, beside their times.
        heads: each lane's x, member and flow class.
        pauses: y and words.
    """

    width: int
    height: int
    left: int
    heads: tuple[tuple[int, str, str], ...]
    lives: tuple[Life, ...]
    pauses: tuple[tuple[int, str], ...]
    lines: tuple[Line, ...]


def drawing_of(conversation: Conversation) -> Drawing:
    """The drawing of a conversation."""
    count = max(1, len(conversation.lanes))
    lane_width = max(_LANE_MIN, (_WIDTH - _LEFT) // count)
    xs = [_LEFT + 20 + i * lane_width for i in range(count)]
    placed = list(_placed(conversation.rows))
    height = (placed[-1].y if placed else _TOP) + _ROW + 10
    return Drawing(
        width=_LEFT + count * lane_width + 10,
        height=height,
        left=_LEFT,
        heads=tuple(
            (x, lane.node, lane.flow_class) for lane, x in zip(conversation.lanes, xs, strict=False)
        ),
        lives=tuple(_lives(placed, xs[: len(conversation.lanes)], height)),
        pauses=tuple((p.y - _ROW - 2, f"{p.pause / 1000:.1f} s later") for p in placed if p.pause),
        lines=tuple(_line(p, xs, lane_width) for p in placed),
    )


def _placed(rows: tuple[Row, ...]) -> Iterator[_Placed]:
    y, before = _TOP, 0
    for row in rows:
        pause = row.at - before if row.at - before >= _GAP_MS else 0
        y += _ROW + (_GAP if pause else 0)
        before = max(before, row.at)
        yield _Placed(row=row, y=y, pause=pause)


def _lives(placed: list[_Placed], xs: list[int], height: int) -> Iterator[Life]:
    """Each lane's lifeline, with its waits and its sub-flows."""
    for lane, x in enumerate(xs):
        mine = [p for p in placed if p.row.lane == lane]
        if mine:
            yield Life(x=x, bars=tuple(_bars(mine, x, height)))


def _bars(mine: list[_Placed], x: int, height: int) -> Iterator[Bar]:
    bottom = mine[-1].y if mine[-1].row.kind is RowKind.END else height
    yield _bar("bar", x, mine[0].y - 6, bottom, _BAR)
    for here, following in zip(mine, [*mine[1:], None], strict=True):
        end = following.y if following else bottom
        if here.row.kind is RowKind.WAIT:
            yield _bar("wait", x, here.y, end, _BAR)
        if following is not None and min(here.row.depth, following.row.depth) > 0:
            depth = min(here.row.depth, following.row.depth)
            yield _bar("inner", x + _BAR // 2 + 2 * depth, here.y, end, 3)


def _bar(look: str, x: int, top: int, bottom: int, width: int) -> Bar:
    return Bar(look=look, x=x - width // 2, y=top, width=width, height=max(2, bottom - top))


def _line(placed: _Placed, xs: list[int], lane_width: int) -> Line:
    row = placed.row
    if row.kind is RowKind.MESSAGE and row.target not in (None, row.lane):
        return _arrow(placed, xs)
    x = xs[row.lane] + 14 + 8 * min(row.depth, 6)
    room = int((lane_width - (x - xs[row.lane]) - 24) / _CHARACTER)
    words = _words(row)
    room -= 0 if row.step is None else len(f"{row.step}  ")
    return Line(
        y=placed.y,
        elapsed=elapsed(row.at),
        x=x,
        words=words if len(words) <= room else f"{words[: room - 1]}…",
        look="bad" if row.is_error else "good" if row.kind is RowKind.END else "",
        step=row.step,
        hints=tuple(line for text in (words, row.detail) for line in text.splitlines()),
    )


def _arrow(placed: _Placed, xs: list[int]) -> Line:
    row = placed.row
    start, end = xs[row.lane], xs[row.target or 0]
    side = _BAR // 2 if end > start else -_BAR // 2
    return Line(
        y=placed.y,
        elapsed=elapsed(row.at),
        x=start + side,
        end_x=end - side,
        words=row.text,
        look=" error" if row.text.startswith("error") else "",
    )


def _words(row: Row) -> str:
    match row.kind:
        case RowKind.WAIT:
            return f"{row.text} …"
        case RowKind.ANSWER:
            return f"after {row.waited / 1000:.3f} s: {row.text}"
        case RowKind.MESSAGE:
            return f"→ {row.text}"
        case RowKind.ARRIVAL:
            return f"← {row.text}"
        case _:
            return row.text

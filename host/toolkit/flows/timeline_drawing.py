"""A conversation drawn as SVG: a lifeline for each lane, arrows for messages, hatches for waits.

Pure. Rows have equal height whatever time lies between them; a long pause is marked as one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from host.toolkit.flows.call_text import printable
from host.toolkit.flows.conversation import Conversation, Row, RowKind
from host.toolkit.flows.timeline_text import elapsed

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


def html_text(text: str) -> str:
    """`text` as HTML shows it, without control characters."""
    return escape(printable(text))


def drawing_of(conversation: Conversation) -> str:
    """The `<svg>` element."""
    count = max(1, len(conversation.lanes))
    lane_width = max(_LANE_MIN, (_WIDTH - _LEFT) // count)
    xs = [_LEFT + 20 + i * lane_width for i in range(count)]
    placed = list(_placed(conversation.rows))
    height = (placed[-1].y if placed else _TOP) + _ROW + 10
    width = _LEFT + count * lane_width + 10
    parts = [
        *_heads(conversation, xs),
        *_lives(conversation, placed, xs, height),
        *(_pause(p, width) for p in placed if p.pause),
        *(_row(p, xs, lane_width) for p in placed),
    ]
    marker = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path class="head" d="M0 0L10 5L0 10z"/></marker></defs>'
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="Timeline of the flow">{marker}{"".join(parts)}</svg>'
    )


def _placed(rows: tuple[Row, ...]) -> Iterator[_Placed]:
    y, before = _TOP, 0
    for row in rows:
        pause = row.at - before if row.at - before >= _GAP_MS else 0
        y += _ROW + (_GAP if pause else 0)
        before = max(before, row.at)
        yield _Placed(row=row, y=y, pause=pause)


def _heads(conversation: Conversation, xs: list[int]) -> Iterator[str]:
    for lane, x in zip(conversation.lanes, xs, strict=True):
        yield f'<text class="who" x="{x - 4}" y="26">{html_text(lane.node)}</text>'
        yield f'<text class="what code" x="{x - 4}" y="46">{html_text(lane.flow_class)}</text>'


def _lives(
    conversation: Conversation, placed: list[_Placed], xs: list[int], height: int
) -> Iterator[str]:
    """Each lane's life, with what it waited for and which sub-flows it was in."""
    for lane, x in enumerate(xs[: len(conversation.lanes)]):
        mine = [p for p in placed if p.row.lane == lane]
        if not mine:
            continue
        top = mine[0].y - 6
        bottom = mine[-1].y if mine[-1].row.kind is RowKind.END else height
        yield f'<line class="life" x1="{x}" y1="60" x2="{x}" y2="{height}"/>'
        yield _bar("bar", x, top, bottom, _BAR)
        for here, following in zip(mine, [*mine[1:], None], strict=True):
            end = following.y if following else bottom
            if here.row.kind is RowKind.WAIT:
                yield _bar("wait", x, here.y, end, _BAR)
            if following is not None and min(here.row.depth, following.row.depth) > 0:
                depth = min(here.row.depth, following.row.depth)
                yield _bar("inner", x + _BAR // 2 + 2 * depth, here.y, end, 3)


def _bar(kind: str, x: int, top: int, bottom: int, width: int) -> str:
    return (
        f'<rect class="{kind}" x="{x - width // 2}" y="{top}" width="{width}"'
        f' height="{max(2, bottom - top)}" rx="2"/>'
    )


def _pause(placed: _Placed, width: int) -> str:
    y = placed.y - _ROW - 2
    words = f"{placed.pause / 1000:.1f} s later"
    return (
        f'<line class="break" x1="{_LEFT}" y1="{y}" x2="{width}" y2="{y}"/>'
        f'<text class="gap" x="8" y="{y + 4}">{words}</text>'
    )


def _row(placed: _Placed, xs: list[int], lane_width: int) -> str:
    row, y = placed.row, placed.y
    time = f'<text class="time" x="{_LEFT - 12}" y="{y + 4}">{elapsed(row.at)}</text>'
    if row.kind is RowKind.MESSAGE and row.target not in (None, row.lane):
        return time + _arrow(row, y, xs)
    x = xs[row.lane] + 14 + 8 * min(row.depth, 6)
    room = int((lane_width - (x - xs[row.lane]) - 24) / _CHARACTER)
    number = "" if row.step is None else f'<tspan class="number">{row.step}  </tspan>'
    words = _words(row)
    room -= 0 if row.step is None else len(f"{row.step}  ")
    shown = words if len(words) <= room else f"{words[: room - 1]}…"
    hints = (html_text(part) for text in (words, row.detail) for part in text.splitlines())
    title = f"<title>{'&#10;'.join(hints)}</title>"
    text = f"{number}<tspan{_style(row)}>{html_text(shown)}</tspan>"
    return f'{time}<text x="{x}" y="{y + 4}">{title}{text}</text>'


def _style(row: Row) -> str:
    if row.is_error:
        return ' class="bad"'
    return ' class="good"' if row.kind is RowKind.END else ""


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


def _arrow(row: Row, y: int, xs: list[int]) -> str:
    start, end = xs[row.lane], xs[row.target or 0]
    side = _BAR // 2 if end > start else -_BAR // 2
    error = " error" if row.text.startswith("error") else ""
    return (
        f'<line class="arrow{error}" x1="{start + side}" y1="{y}" x2="{end - side}" y2="{y}"'
        f' marker-end="url(#head)"/>'
        f'<text class="on" x="{(start + end) // 2}" y="{y - 5}">{html_text(row.text)}</text>'
    )

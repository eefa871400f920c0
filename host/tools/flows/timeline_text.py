"""A conversation as text: a column for each lane, with arrows between them.

Pure. Lanes that do not fit beside each other are written one line after the other instead.
"""

from collections.abc import Iterator

from host.tools.flows.conversation import Conversation, Lane, Row, RowKind

_TIME_WIDTH = 10
_LANE_WIDTH_MIN = 24
_RUNNING, _WAITING, _ABSENT = "│", "┊", " "
_MARKS = {RowKind.START: "┬", RowKind.END: "┴"}


def timeline_text(conversation: Conversation, width: int) -> str:
    """The story in lines of at most `width` characters."""
    lane_width = (width - _TIME_WIDTH) // max(1, len(conversation.lanes))
    if lane_width < _LANE_WIDTH_MIN and len(conversation.lanes) > 1:
        return "\n".join(_listed(conversation, width)) + "\n"
    return "\n".join(_drawn(conversation, width, lane_width)) + "\n"


def elapsed(millis: int) -> str:
    """A time since the beginning, such as `+0.012 s`."""
    return f"+{millis / 1000:.3f}"


def _drawn(conversation: Conversation, width: int, lane_width: int) -> Iterator[str]:
    places = [_TIME_WIDTH + i * lane_width for i in range(len(conversation.lanes))]
    heads = list(zip(places, conversation.lanes, strict=True))
    for line in (_names, _classes):
        yield _line(width, [(p, line(lane)) for p, lane in heads], lane_width)
    spines = [_ABSENT] * len(places)
    for row in conversation.rows:
        texts = [(p, s) for p, s in zip(places, spines, strict=True)]
        if row.kind is RowKind.MESSAGE and row.target not in (None, row.lane):
            yield _arrow(width, texts, row, places)
            continue
        texts[row.lane] = (places[row.lane], f"{_mark(row, spines)}{_row_text(row)}")
        yield _line(width, [(0, elapsed(row.at)), *texts], lane_width)
        spines[row.lane] = _spine_after(row)


def _names(lane: Lane) -> str:
    return lane.node


def _classes(lane: Lane) -> str:
    return lane.flow_class


def _mark(row: Row, spines: list[str]) -> str:
    spine = _RUNNING if row.kind is not RowKind.ARRIVAL else spines[row.lane]
    return _MARKS.get(row.kind, spine)


def _spine_after(row: Row) -> str:
    return {RowKind.WAIT: _WAITING, RowKind.END: _ABSENT}.get(row.kind, _RUNNING)


def _row_text(row: Row) -> str:
    number = "" if row.step is None else f"{row.step} "
    indent = "  " * min(row.depth, 4)
    match row.kind:
        case RowKind.WAIT:
            words = f"{row.text} …"
        case RowKind.ANSWER:
            words = f"after {row.waited / 1000:.3f} s: {row.text}"
        case RowKind.MESSAGE:
            words = f"→ {row.text}"
        case RowKind.ARRIVAL:
            words = f"← {row.text}"
        case _:
            words = row.text
    return f" {indent}{number}{'! ' if row.is_error else ''}{words}"


def _line(width: int, texts: list[tuple[int, str]], lane_width: int) -> str:
    cells = [" "] * width
    for place, text in texts:
        room = min(width - place, lane_width - 1 if place else _TIME_WIDTH)
        shown = text if len(text) <= room else f"{text[: room - 1]}…"
        cells[place : place + len(shown)] = shown
    return "".join(cells).rstrip()


def _arrow(width: int, spines: list[tuple[int, str]], row: Row, places: list[int]) -> str:
    """A line from the sender's column to the receiver's, with the message's name on it."""
    assert row.target is not None  # noqa: S101  # the caller's condition
    cells = [" "] * width
    for place, spine in [(0, elapsed(row.at)), *spines]:
        cells[place : place + len(spine)] = spine
    left, right = sorted((places[row.lane], places[row.target]))
    room = right - left - 1
    label = f" {row.text} " if len(row.text) + 6 <= room else f" {row.text.partition(',')[0]} "
    shaft = label.center(room - 1, "─")[: room - 1]
    cells[left + 1 : right] = f"{shaft}▶" if row.lane < row.target else f"◀{shaft}"
    cells[places[row.lane]] = "├" if row.lane < row.target else "┤"
    return "".join(cells).rstrip()


def _listed(conversation: Conversation, width: int) -> Iterator[str]:
    for row in conversation.rows:
        lane = conversation.lanes[row.lane]
        target = conversation.lanes[row.target].node if row.target is not None else None
        to = f" to {target}" if target else ""
        line = f"{elapsed(row.at):{_TIME_WIDTH}}{lane.node}:{_row_text(row)}{to}"
        yield line if len(line) <= width else f"{line[: width - 1]}…"

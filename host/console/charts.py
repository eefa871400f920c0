"""Small charts as the numbers of SVG: sparks, lines with failures, bars. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

_SPARK_WIDTH, _SPARK_HEIGHT = 100.0, 22.0
_CHART_WIDTH, _CHART_HEIGHT = 600.0, 150.0
_BAR_WIDTH = 5.2
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """A line, and the area below it, as SVG paths of 100 by 22."""

    line: str
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A line of 600 by 150 and bars in front of it.

    `top` is the value at the upper edge; `bars` are x, y, width, height.
    """

    line: str
    area: str
    bars: Sequence[tuple[float, float, float, float]]
    top: int


def spark(values: Sequence[float]) -> Spark:
    """A spark from 0 to the largest value."""
    line = _line(values, _SPARK_WIDTH, _SPARK_HEIGHT, max([*values, 1]), margin=1.5)
    return Spark(line=line, area=_area(line, _SPARK_WIDTH, _SPARK_HEIGHT))


def chart(all_of: Sequence[int], part: Sequence[int]) -> Chart:
    """All values as a line, and a part of them as bars."""
    top = nice_top(max([*all_of, *part, 1]))
    line = _line(all_of, _CHART_WIDTH, _CHART_HEIGHT, top)
    step = _CHART_WIDTH / max(len(part) - 1, 1)
    bars = [
        (
            round(min(max(n * step - _BAR_WIDTH / 2, 0), _CHART_WIDTH - _BAR_WIDTH), 1),
            round(_CHART_HEIGHT - value / top * _CHART_HEIGHT, 1),
            _BAR_WIDTH,
            round(value / top * _CHART_HEIGHT, 1),
        )
        for n, value in enumerate(part)
        if value
    ]
    return Chart(line=line, area=_area(line, _CHART_WIDTH, _CHART_HEIGHT), bars=bars, top=top)


def nice_top(largest: int) -> int:
    """The smallest of 3, 6, 15, 30, 60 … that is not below `largest`: thirds are whole."""
    power = 1
    while True:
        for step in _STEPS:
            if step * 3 * power >= largest:
                return step * 3 * power
        power *= 10


def share(used: float, most: float | None) -> float:
    """Per cent of a bar, from 0 to 100."""
    return round(min(max(used / most, 0.0), 1.0) * 100, 1) if most else 0.0


def _line(
    values: Sequence[float], width: float, height: float, top: float, *, margin: float = 0.0
) -> str:
    step = width / max(len(values) - 1, 1)
    inner = height - margin
    points = [
        f"{n * step:.1f} {height - value / top * inner:.1f}" for n, value in enumerate(values)
    ]
    return "M" + "L".join(points or ["0 0"])


def _area(line: str, width: float, height: float) -> str:
    return f"{line}L{width:.0f} {height:.0f}L0 {height:.0f}Z"

"""What a call costs, counted in executed lines of Python and in bytes that C functions take.

Seconds depend on the machine; lines do not. A quadratic cost inside one C call is not seen as
lines, so tests of such costs look at the sizes that the call is given.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(action: Callable[[], object]) -> int:
    """The number of lines of Python that `action` runs, libraries included."""
    steps = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        if event == "line":
            steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        action()
    finally:
        sys.settrace(before)
    return steps

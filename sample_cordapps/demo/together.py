"""Parts of the demonstration that happen at the same time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sample_cordapps.demo.console import DemoConsole

T = TypeVar("T")


def together(
    console: DemoConsole, parts: Sequence[Callable[[DemoConsole], T]], *, at_once: int
) -> list[T]:
    """What the parts return, each with a console of its own that is printed at the part's end.

    Raises:
        StepFailedError: a part failed; the others have ended by then.
    """

    def run(part: Callable[[DemoConsole], T]) -> T:
        with console.apart() as own:
            return part(own)

    with ThreadPoolExecutor(at_once) as pool:
        ends = [pool.submit(run, part) for part in parts]
    return [end.result() for end in ends]

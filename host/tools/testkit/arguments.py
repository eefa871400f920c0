"""Arguments of the kit's methods: a class where an object is needed, and the other way round."""

from collections.abc import Sequence


def class_given(value: object, method: str, example: str) -> type:
    """`value`, if it is a class.

    Raises:
        TypeError: it is none; the message says how the method is called.
    """
    __tracebackhide__ = True
    if isinstance(value, type):
        return value
    what = f"{value!r:.60}" if isinstance(value, str) else f"an object of {type(value).__name__}"
    raise TypeError(f"{method} takes a class, such as {method}({example}), not {what}")


def objects_given(values: Sequence[object], kind: type, argument: str) -> None:
    """Check that all values are objects of a kind.

    Raises:
        TypeError: one is not; the message names the argument and the place in it.
    """
    __tracebackhide__ = True
    for number, value in enumerate(values):
        if not isinstance(value, kind):
            what = f"the class {value.__name__}" if isinstance(value, type) else repr(value)[:60]
            raise TypeError(f"{argument}[{number}] is {what}, not an object of a {kind.__name__}")

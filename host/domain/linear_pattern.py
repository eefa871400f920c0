"""Regular expressions from outside, searched in time linear in the text (Rust's `regex`). Pure.

Look-around and back references are not supported, nor patterns that need many states.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from host.domain.pattern_weight import weight_of

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

PATTERN_CHARACTERS_MAX = 1000
PATTERN_WEIGHT_MAX = 100_000
"""States; compiling a heavier pattern takes 0.1 seconds or more."""
_KEPT_MAX = 32


class LinearPattern:
    """A compiled pattern. Thread-safe.

    Attributes:
        weight: an upper estimate of the steps for a character.
    """

    def __init__(self, validator: "SchemaValidator", weight: int) -> None:
        self._validator = validator
        self.weight = weight

    def occurs_in(self, text: str) -> bool:
        """Whether the pattern occurs in the text; one call that cannot be interrupted."""
        return self._validator.isinstance_python(text)


@lru_cache(maxsize=_KEPT_MAX)
def linear_pattern(pattern: str) -> LinearPattern | None:
    """The compiled pattern; None if it is none, or not supported."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        return None
    return compiled_pattern(pattern)


def compiled_pattern(pattern: str) -> LinearPattern | None:
    """As `linear_pattern`, of any length, for callers that keep the result themselves."""
    # Loaded for the first pattern: most processes of a host meet none for a long time.
    from pydantic_core import SchemaError, SchemaValidator  # noqa: PLC0415
    from pydantic_core.core_schema import str_schema  # noqa: PLC0415

    weight = weight_of(pattern)
    if weight > PATTERN_WEIGHT_MAX:
        return None
    try:
        return LinearPattern(SchemaValidator(str_schema(pattern=pattern)), weight)
    except SchemaError:
        return None

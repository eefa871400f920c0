"""Types of values shared by settings. Pure."""

from typing import Annotated

from msgspec import Meta

INT_MAX = 2_147_483_647
SECONDS_MAX = 3_155_760_000
"""A hundred years, the maximum."""
MILLIS_MAX = SECONDS_MAX * 1000
TIB = 1 << 40
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):[0-9]{1,5}$"

Workers = Annotated[int, Meta(ge=1, le=256)]

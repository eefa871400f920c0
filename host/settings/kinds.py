"""Kinds of values that settings have in common."""

from typing import Annotated

from msgspec import Meta

INT_MAX = 2_147_483_647
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):[0-9]{1,5}$"

Bytes = Annotated[int, Meta(ge=1)]
Workers = Annotated[int, Meta(ge=1, le=256)]

"""Numbers that other clusters send. Pure."""

from typing import Annotated, TypeAlias

from msgspec import Meta

Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""What every language and database holds as it is. A larger one is as malformed as a text: it would
fail where it is stored, again and again.
"""
Serial: TypeAlias = Annotated[int, Meta(ge=0, le=999_999_999)]
"""Of a member's information; as long as its text in a context may be."""

"""Keys of statements with an `IN` list, divided so that every database takes them."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

KEYS_MAX = 500
"""Keys of one `IN` list, within the variables of a statement that every database allows."""
_T = TypeVar("_T")


def in_parts(keys: Collection[_T]) -> Iterator[list[_T]]:
    """The keys in their order, at most `KEYS_MAX` at once."""
    rest = iter(keys)
    while part := list(islice(rest, KEYS_MAX)):
        yield part

"""LIKE in linear time, against a naive reading of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.sqlite.like import like

LETTERS = st.text(alphabet="ab\N{LATIN SMALL LETTER E WITH ACUTE}\n", max_size=30)
PATTERNS = st.text(alphabet="ab\N{LATIN SMALL LETTER E WITH ACUTE}\n%_", max_size=12)


def naive(text, pattern):
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


@given(LETTERS, PATTERNS)
def test_like_is_what_it_says(text, pattern):
    assert like(text, pattern) == naive(text, pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "matches"),
    [
        ("", "", True), ("", "%", True), ("", "_", False), ("a", "%%", True), ("ab", "a%b%", True),
        ("aba", "ab%ba", False), ("abba", "ab%ba", True), ("a%b", "a%b", True), ("Rex", "r%", False),
        ("a*b", "a*b", True), ("a?b", "a[b", False), ("\U0001f600x", "_x", True), ("xaybz", "%a_b%", True),
    ],
)  # fmt: skip
def test_like_of_edges(text, pattern, matches):
    assert like(text, pattern) is matches


class Steps(str):
    """A text that counts the characters that are read of it one by one."""

    __slots__ = ("read",)

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.read = 0
        return made

    def __getitem__(self, key):
        self.read += 1
        return super().__getitem__(key)


@pytest.mark.parametrize(
    "part", ["a" * 4000 + "_b", "_" * 4000 + "b", "a_" * 2000 + "b", "_a%_a%a_"]
)
def test_no_character_is_read_twice(part):
    """The worst for whoever begins anew at every place: nothing fits, everything nearly does."""
    for size in (50_000, 100_000):
        text = Steps("a" * size)
        assert not like(text, f"%{part}%c%")
        assert text.read <= size + 10


def test_a_search_looks_at_its_watch_all_along():
    looks = []
    assert not like("a" * 1_000_000, "%" + "a_" * 2000 + "b%", lambda: looks.append(1))
    assert len(looks) >= 1_000_000 // (16 * 1024)


class OverError(Exception):
    """The time is over."""


def test_what_the_watch_raises_ends_the_search():
    looks = iter(range(3))

    def watch():
        if next(looks, None) is None:
            raise OverError

    text = Steps("a" * 1_000_000)
    with pytest.raises(OverError):
        like(text, "%a_b%", watch)
    assert text.read <= 3 * 16 * 1024

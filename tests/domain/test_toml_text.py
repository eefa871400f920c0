"""TOML of users: what is too long, deep or dotted is refused before the parser sees it."""

import tomllib

import pytest

from host.domain.toml_text import DEPTH_MAX, KEY_PARTS_MAX, TomlRefusedError, parse_toml

MIB = 1024 * 1024
TEXTS = (
    b'a.b.c = "x.y.z" # a.b.c.d\n[[t]]\nx = [1.5, {y = 2026-01-01T00:00:00.5Z}]\n',
    b'a = """\n[[[[ . . . """\r\nb = \'\'\'{{{{ " \'\'\'\n',
    b'"quoted.key" = "\\"]"\n\'other\' = \'[\'\n',
    b"",
)


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_toml_is_read_as_the_standard_parser_reads_it(text: bytes) -> None:
    assert parse_toml(text, bytes_max=MIB) == tomllib.loads(text.decode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a = " + b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b"a = " + b"{a = " * 100_000, "nested deeper"),
        (b".".join([b"a"] * 20_000) + b" = 1", "more than"),
        (b"[" + b" . ".join([b"a"] * 20_000) + b"]", "more than"),
        (b'"""' * 50_001, "at line"),
        (b"a = '''" * 20_000, "at line"),
        (b"a = 1" * MIB, "more than"),
        (b"a = \xff", "utf-8"),
        (b"\xef\xbb\xbfa = 1", "Invalid"),
        (b"a = 1\na = 2", "overwrite"),
        (b"a = " + b"1" * 5000, "digits"),
        (b"a = 9999-99-99", "at line"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: bytes, reason: str) -> None:
    with pytest.raises(TomlRefusedError, match=reason):
        parse_toml(text, bytes_max=MIB)


def test_the_limits_can_be_reached() -> None:
    nested = b"a = " + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert parse_toml(nested, bytes_max=MIB)
    assert parse_toml(b".".join([b"a"] * KEY_PARTS_MAX) + b" = 1", bytes_max=MIB)

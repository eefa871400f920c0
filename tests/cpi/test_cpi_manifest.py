"""The manifest codec: folding, syntax, and the bytes that digests cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpi.errors import ManifestError
from cpi.jar.manifest import encode_manifest, fold_line, parse_manifest

HEAD = b"Manifest-Version: 1.0\r\n"


def test_sections_keep_their_raw_bytes() -> None:
    raw = HEAD + b"A: b\r\n\r\nName: x\r\nSHA-256-Digest: y\r\n\r\nName: z\r\n\r\n"
    manifest = parse_manifest(raw)
    assert manifest.main.raw == HEAD + b"A: b\r\n\r\n"
    assert manifest.entries["x"].raw == b"Name: x\r\nSHA-256-Digest: y\r\n\r\n"
    assert manifest.entries["z"].get("NAME") == "z"
    assert manifest.main.raw + b"".join(s.raw for s in manifest.entries.values()) == raw


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_line_ends(line_end: bytes) -> None:
    raw = b"Manifest-Version: 1.0" + line_end + b"A: b" + line_end + b" c" + line_end * 2
    assert parse_manifest(raw).main.attributes == {"Manifest-Version": "1.0", "A": "bc"}


def test_values_are_taken_as_they_are() -> None:
    attributes = parse_manifest(HEAD + b"A:  two \r\nB: a: b\r\nC: \r\n\r\n").main.attributes
    assert attributes["A"] == " two "
    assert attributes["B"] == "a: b"
    assert attributes["C"] == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"A: b\r\nManifest-Version: 1.0\r\n\r\n",
        b"Signature-Version: 1.0\r\n\r\n",
        b"Manifest-Version: 1.0",
        HEAD + b"A",
        HEAD + b"A:b\r\n\r\n",
        HEAD + b"A b: c\r\n\r\n",
        HEAD + b"-A: c\r\n\r\n",
        HEAD + b": c\r\n\r\n",
        HEAD + b"A\r\n b: c\r\n\r\n",
        HEAD + b"A:\r\n  c\r\n\r\n",
        HEAD + b"A: b\r\nA: c\r\n\r\n",
        HEAD + b"A: b\r\na: c\r\n\r\n",
        HEAD + b"A: \xff\r\n\r\n",
        HEAD + b"A: \0\r\n\r\n",
        HEAD + b"A: " + b"x" * 600 + b"\r\n\r\n",
        HEAD + b"A" * 71 + b": x\r\n\r\n",
        HEAD + b"\r\n\r\n",
        HEAD + b"\r\nX: y\r\n\r\n",
        HEAD + b"\r\nName: a\r\n\r\nName: a\r\n\r\n",
        HEAD + b"\r\nName: a\r\nMagic: x\r\n\r\n",
        HEAD + b"\r\nName: a\r\n\r\n\r\nName: b\r\n\r\n",
        b" " + HEAD + b"\r\n",
    ],
)
def test_syntax_errors(raw: bytes) -> None:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(raw)
    assert refused.value.code == "manifest-syntax"


@pytest.mark.parametrize("attributes", [{"A b": "x"}, {"A": "x\ny"}, {"A": "\0"}, {"": "x"}])
def test_the_writer_refuses_what_cannot_be_written(attributes: dict[str, str]) -> None:
    with pytest.raises(ManifestError):
        encode_manifest(attributes)


def test_folding_at_72_bytes() -> None:
    lines = fold_line(b"Name: " + b"x" * 200).split(b"\r\n")
    assert [len(line) for line in lines] == [72, 72, 64, 0]
    assert all(line.startswith(b" ") for line in lines[1:3])


_NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,69}", fullmatch=True)
_VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=200)
_ATTRIBUTES = st.lists(
    st.tuples(_NAME, _VALUE), max_size=6, unique_by=lambda pair: pair[0].lower()
).map(
    lambda pairs: {n: v for n, v in pairs if n.lower() not in ("name", "magic", "manifest-version")}
)


@pytest.mark.property
@given(_ATTRIBUTES, st.dictionaries(_VALUE, _ATTRIBUTES, max_size=4))
def test_round_trip(main: dict[str, str], entries: dict[str, dict[str, str]]) -> None:
    main = {"Manifest-Version": "1.0", **main}
    raw = encode_manifest(main, entries.items())
    assert all(len(line) <= 72 for line in raw.split(b"\r\n"))
    manifest = parse_manifest(raw)
    assert manifest.main.attributes == main
    assert {n: dict(s.attributes) for n, s in manifest.entries.items()} == {
        n: {"Name": n, **a} for n, a in entries.items()
    }


@pytest.mark.property
@given(st.binary(max_size=400))
def test_junk_is_refused_with_a_manifest_error(junk: bytes) -> None:
    for raw in (junk, HEAD + junk, HEAD + b"\r\nName: a\r\n" + junk):
        try:
            parse_manifest(raw)
        except ManifestError:
            continue


def test_long_values_are_read_in_linear_time() -> None:
    raw = encode_manifest({"Manifest-Version": "1.0", "A": "x" * 4_000_000})
    assert len(parse_manifest(raw).main.attributes["A"]) == 4_000_000


def test_a_refusal_does_not_hold_the_megabytes_that_it_names() -> None:
    section = b"Name: a\r\n" + (b" " + b"b" * 70 + b"\r\n") * 20000 + b"\r\n"
    with pytest.raises(ManifestError, match=r"… \(1400047 characters\)$") as refused:
        parse_manifest(HEAD + b"\r\n" + section * 2)
    messages = (str(refused.value), refused.value.message, refused.value.issues[0].message)
    assert {len(message) for message in messages} == {8192}

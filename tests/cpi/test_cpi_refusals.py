"""Single refusals of the readers of packages, each by the smallest input that leads to it."""

import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from cpi.archive.sources import BytesSource, Window
from cpi.archive.unpacking import inflate
from cpi.crypto.der import DerRefusedError, check_der
from cpi.crypto.extensions import _constrained_names
from cpi.crypto.name_text import NameTextError
from cpi.crypto.signed_data import read_content_info
from cpi.crypto.subject_names import subject_name
from cpi.errors import ArchiveError, Code, SignatureError
from cpi.jar.signatures import _check_content, _digests, _file_issues
from cpi.limits import ArchiveLimits, Budget
from cpi.package.group_policy import _static_issues
from cpi.package.resigning import _identity
from tests.support.keystores import NOW

DATA_TYPE = bytes.fromhex("06092a864886f70d010701")


def raw(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(content) + deflater.flush()


def test_nothing_follows_the_end_of_a_deflate_stream() -> None:
    assert b"".join(inflate([raw(b"abc")], name="a", size=3)) == b"abc"
    for more in ([raw(b"abc"), b"x"], [raw(b"abc") + b"x"]):
        with pytest.raises(ArchiveError, match="'a'"):
            list(inflate(more, name="a", size=3))


def test_a_window_is_a_source_of_its_own() -> None:
    window = Window(base=BytesSource(b"0123456789"), offset=2, size=4)
    assert window.read_at(1, 100) == b"345"
    assert window.read_at(9, 1) == b""
    assert window.keep([b"ab", b"c"]).read_at(0, 9) == b"abc"
    window.check_unchanged()


def test_a_package_has_a_number_of_entries_and_of_bytes() -> None:
    limits = ArchiveLimits(entries_max=2, total_bytes_max=10)
    with pytest.raises(ArchiveError, match="more than 2 entries"):
        Budget(limits).spend(entries=3, unpacked_bytes=0)
    with pytest.raises(ArchiveError, match="10"):
        Budget(limits).spend(entries=2, unpacked_bytes=11)


@pytest.mark.parametrize("data", ["3082", "308201", "3005", "02"])
def test_an_element_that_is_cut_off_is_refused(data: str) -> None:
    with pytest.raises(DerRefusedError):
        check_der(bytes.fromhex(data))


def test_content_may_stand_elsewhere_and_is_one_value() -> None:
    assert read_content_info(b"\x30\x0b" + DATA_TYPE) == ("1.2.840.113549.1.7.1", None)
    two = b"\x30\x11" + DATA_TYPE + bytes.fromhex("a00405000500")
    with pytest.raises(DerRefusedError, match="2 values"):
        read_content_info(two)


def test_name_constraints_constrain_something() -> None:
    with pytest.raises(DerRefusedError, match="no name constraints"):
        _constrained_names(b"\x30\x00")


def test_a_subject_has_a_name() -> None:
    with pytest.raises(NameTextError, match="empty"):
        subject_name(" ")


def test_a_digest_that_is_no_base64_fits_nothing() -> None:
    found = dict(_digests({"SHA-256-Digest": "%%", "SHA-512-Digest": "AA=="}, "-Digest"))
    assert found == {"sha256": None, "sha512": b"\0"}


def test_files_are_signed_by_digests_that_count() -> None:
    manifest: Any = SimpleNamespace(entries={"a": {"SHA1-Digest": "AA=="}})
    signer: Any = SimpleNamespace(name="S", covered={"a", "b"})
    archive: Any = SimpleNamespace(entries=())
    (weak,) = _file_issues(archive, manifest, [signer], "a")
    assert weak.code is Code.SIGNATURE_WEAK
    (missing,) = _file_issues(archive, manifest, [signer], "b")
    assert missing.code is Code.NOT_SIGNED
    with pytest.raises(SignatureError, match="No signed files"):
        _check_content(archive, manifest, [signer], [])


def test_what_is_no_package_has_no_identity() -> None:
    assert _identity(b"no package", NOW) is None


def network(members: list[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocolParameters": {"staticNetwork": {"members": members, "groupParameters": parameters}}
    }


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (network([{}] * 10_001, {}), "10001 members, at most 10000"),
        (network([], {f"ext.{n}": "x" for n in range(101)}), "101 custom fields, at most 100"),
        (network([], {"x" * 200: "x"}), "x..."),
    ],
)
def test_a_static_network_has_bounds(document: dict[str, Any], words: str) -> None:
    found = [str(issue.message) + str(issue) for issue in _issues_of(document)]
    assert any(words in each for each in found), found


def _issues_of(document: dict[str, Any]) -> list[Any]:
    return list(_static_issues(document, names_are_read=False))

"""Verdicts and hashes on data that other people's tools made."""

import json
from datetime import UTC, datetime

import pytest
from cryptography import x509

from cpi.crypto.certificates import load_pem_certificates
from cpi.crypto.signer_hash import (
    certificate_rdns,
    hashed_text,
    signer_summary_hash,
    summary_hash_of_names,
)
from cpi.errors import PackageRefusedError
from cpi.package.verify import verify_package
from tests.support.vectors import VECTORS

pytestmark = pytest.mark.conformance

MADE = datetime(2026, 11, 21, 12, tzinfo=UTC)
PACKAGING = VECTORS / "packaging"
ROWS = json.loads((PACKAGING / "index.json").read_text())
HASHES = json.loads((PACKAGING / "signer-hash-vectors.json").read_text())


def anchors(names: list[str]) -> list[x509.Certificate]:
    folder = PACKAGING / "certificates"
    return [
        certificate
        for file in names
        for certificate in load_pem_certificates((folder / file).read_bytes(), source=file)
    ]


@pytest.mark.parametrize("file", ROWS)
def test_verdict_and_hashes_of_each_archive(file: str) -> None:
    row = ROWS[file]
    data = (PACKAGING / file).read_bytes()
    options = {
        "package_type": None,
        "trusted": anchors(row["trusted"]),
        "at": MADE,
        "signature_only": True,
    }
    if not row["expected_accept"]:
        with pytest.raises(PackageRefusedError):
            verify_package(data, **options)
        return
    result = verify_package(data, **options)
    for ours, theirs in (
        (result.cpk_signer_summary_hash, row["cpk_signer_summary_hash"]),
        (result.cpi_signer_summary_hash, row["cpi_signer_summary_hash"]),
    ):
        assert theirs in (None, ours)


def test_trailing_bytes_are_accepted_with_a_warning() -> None:
    row = ROWS["x-trailing.jar"]
    result = verify_package(
        (PACKAGING / "x-trailing.jar").read_bytes(),
        package_type=None,
        trusted=anchors(row["trusted"]),
        at=MADE,
        signature_only=True,
    )
    assert [w.code for w in result.warnings] == ["archive-trailing-data"]


def test_a_timestamp_outlives_the_certificate() -> None:
    row, data = ROWS["cpi-ts.jar"], (PACKAGING / "cpi-ts.jar").read_bytes()
    options = {
        "package_type": None,
        "at": datetime(2030, 1, 1, tzinfo=UTC),
        "signature_only": True,
    }
    result = verify_package(data, trusted=anchors(row["trusted"]), **options)
    assert result.signers[0].timestamp is not None
    assert result.signers[0].not_after < options["at"]
    signer_only = anchors(row["trusted"])[:1]
    with pytest.raises(PackageRefusedError, match="Error validating TSA certificate path"):
        verify_package(data, trusted=signer_only, **options)


@pytest.mark.parametrize("vector", HASHES["single"], ids=lambda v: v["x500"])
def test_summary_hash_of_one_name(vector: dict[str, str]) -> None:
    subject = rdns(vector["x500"])
    assert hashed_text(subject) == vector.get("hashed", hashed_text(subject))
    assert summary_hash_of_names([subject]) == vector["hash"]


@pytest.mark.parametrize("vector", HASHES["multi"], ids=lambda v: " + ".join(v["x500s"]))
def test_summary_hash_of_several_names(vector: dict) -> None:
    subjects = [rdns(text) for text in vector["x500s"]]
    assert summary_hash_of_names(subjects) == vector["hash"]
    assert summary_hash_of_names(reversed(subjects)) == vector["hash"]


def rdns(text: str) -> list:
    """The RDNs of RFC 4514 text in DER order, read by another library."""
    from cryptography.x509.name import _NAMEOID_TO_NAME

    parsed = x509.Name.from_rfc4514_string(text)
    return [
        [(_NAMEOID_TO_NAME.get(a.oid, a.oid.dotted_string), a.value) for a in rdn]
        for rdn in parsed.rdns
    ]


def test_h03_serial_number_and_oids_do_not_change_the_hash() -> None:
    (alice,) = anchors(["cpi-alice-0.pem"])
    kinds = {kind for rdn in certificate_rdns(alice) for kind, _ in rdn}
    assert kinds - {"CN", "OU", "O", "L", "C"}, "the subject has attributes that do not count"
    assert signer_summary_hash([alice]) == (
        "SHA-256:33EBB9EA7FE1F18E37A9FFB4D79D45772D7625E5B7DEFC730BA1B4FD1E20BC9B"
    )

import pytest

from host.domain.errors import InvalidInputError, UnavailableError
from host.domain.ids import ShortHash
from host.domain.packages import PackageIdentity
from host.packages.errors import PackageDuplicateError, UploadUnknownError
from host.packages.uploads import Uploads, UploadStatus


def identity(name: str) -> PackageIdentity:
    return PackageIdentity(name=name, version="1", signer_summary_hash="SHA-256:AB")


def test_an_upload_passes_its_stages_to_ok() -> None:
    uploads = Uploads()
    uploads.open("r", identity("a"), size=1, stage="Validating CPI")
    assert uploads.status("r") == UploadStatus(status="Validating CPI")
    uploads.advance("r", "Persisting CPI")
    assert uploads.status("r").status == "Persisting CPI"
    uploads.succeed("r", ShortHash("0123456789AB"))
    assert uploads.status("r") == UploadStatus(status="OK", cpi_checksum=ShortHash("0123456789AB"))


def test_a_failure_is_raised_at_every_poll() -> None:
    uploads = Uploads()
    uploads.open("r", identity("a"), size=1, stage="s")
    uploads.fail("r", InvalidInputError("no good", entry="x"))
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="no good") as refused:
            uploads.status("r")
        assert refused.value.details == {"entry": "x"}


def test_an_identity_is_taken_until_its_upload_ends() -> None:
    uploads = Uploads()
    uploads.open("r", identity("a"), size=1, stage="s")
    with pytest.raises(PackageDuplicateError):
        uploads.open("q", identity("a"), size=1, stage="s")
    uploads.fail("r", InvalidInputError("no good"))
    uploads.open("q", identity("a"), size=1, stage="s")


def test_pending_uploads_are_limited_in_number_and_bytes() -> None:
    uploads = Uploads()
    for number in range(16):
        uploads.open(str(number), identity(str(number)), size=1, stage="s")
    with pytest.raises(UnavailableError):
        uploads.open("x", identity("x"), size=1, stage="s")
    fat = Uploads()
    fat.open("a", identity("a"), size=2**29, stage="s")
    with pytest.raises(UnavailableError):
        fat.open("b", identity("b"), size=1, stage="s")


def test_old_outcomes_are_forgotten_but_pending_ones_are_not() -> None:
    uploads = Uploads()
    uploads.open("pending", identity("p"), size=1, stage="s")
    for number in range(1001):
        uploads.open(str(number), identity("a"), size=1, stage="s")
        uploads.succeed(str(number), ShortHash("0123456789AB"))
    assert uploads.status("pending").status == "s"
    with pytest.raises(UploadUnknownError, match="No such requestId=0"):
        uploads.status("0")

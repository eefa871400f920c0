from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from cpi.package.model import PackageId
from host.adapters.sqlite.database import Database
from host.database.claims import CLAIM_MS, Claimant
from host.domain.clock import SimClock
from host.domain.errors import HostError, InvalidInputError, UnavailableError
from host.domain.ids import ShortHash
from host.nodes.packages.errors import (
    PackageDuplicateError,
    PackageUploadRefusedError,
    UploadInterruptedError,
    UploadUnknownError,
)
from host.nodes.packages.tables import PACKAGES, UPLOAD
from host.nodes.packages.uploads import Uploads, UploadStatus

STORED = ShortHash("0123456789AB")


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "cluster.sqlite", [PACKAGES]) as database:
        yield database


@pytest.fixture
def process(database: Database, clock: SimClock) -> Callable[..., Uploads]:
    """Uploads as another process has them."""

    def start(place: str, run: str = "1") -> Uploads:
        return Uploads(database, claimant=Claimant(place=place, run=run), clock=clock)

    return start


@pytest.fixture
def uploads(process: Callable[..., Uploads]) -> Uploads:
    return process("rest-0")


def identity(name: str) -> PackageId:
    return PackageId(name=name, version="1", signer_summary_hash="SHA-256:AB")


def test_an_upload_passes_its_stages_to_ok_for_every_process_to_see(
    uploads: Uploads, process: Callable[..., Uploads]
) -> None:
    other = process("rest-1")
    uploads.open("r", identity("a"), size=1, stage="Validating CPI")
    assert other.status("r") == UploadStatus(status="Validating CPI")
    uploads.advance("r", "Persisting CPI")
    assert other.status("r").status == "Persisting CPI"
    uploads.succeed("r", STORED)
    assert other.status("r") == UploadStatus(status="OK", cpi_checksum=STORED)


def test_a_failure_is_raised_at_every_poll_as_it_was(uploads: Uploads) -> None:
    uploads.open("r", identity("a"), size=1, stage="s")
    uploads.fail("r", PackageUploadRefusedError("no good", entry="x"))
    for _ in range(2):
        with pytest.raises(PackageUploadRefusedError, match="no good") as refused:
            uploads.status("r")
        assert refused.value.details == {"entry": "x"}


def test_a_failure_of_another_release_keeps_its_code_and_kind(
    uploads: Uploads, database: Database
) -> None:
    uploads.open("r", identity("a"), size=1, stage="s")
    text = '{"code": "new-code", "kind": "InvalidInputError", "message": "m", "details": {}}'
    database.transact(lambda connection: connection.execute(update(UPLOAD).values(failure=text)))
    with pytest.raises(InvalidInputError) as refused:
        uploads.status("r")
    assert refused.value.code == "new-code"


def test_an_identity_is_taken_until_its_upload_ends(
    uploads: Uploads, process: Callable[..., Uploads]
) -> None:
    uploads.open("r", identity("a"), size=1, stage="s")
    for other in (uploads, process("rest-1")):
        with pytest.raises(PackageDuplicateError):
            other.open("q", identity("a"), size=1, stage="s")
    uploads.fail("r", InvalidInputError("no good"))
    uploads.open("q", identity("a"), size=1, stage="s")


def test_an_upload_whose_process_has_ended_has_failed_and_its_identity_is_free(
    uploads: Uploads, process: Callable[..., Uploads], clock: SimClock
) -> None:
    other = process("rest-1")
    uploads.open("r", identity("a"), size=1, stage="s")
    clock.advance(CLAIM_MS)
    uploads.renew()
    clock.advance(CLAIM_MS)
    assert other.status("r").status == "s"
    assert other.end_abandoned() == 0
    clock.advance(1)
    with pytest.raises(UploadInterruptedError, match="upload again"):
        other.status("r")
    other.open("q", identity("a"), size=1, stage="s")
    other.succeed("q", STORED)
    with pytest.raises(UploadInterruptedError, match="upload again"):
        other.status("r")


def test_a_process_that_starts_ends_what_its_earlier_run_left_at_once(
    uploads: Uploads, process: Callable[..., Uploads]
) -> None:
    uploads.open("r", identity("a"), size=1, stage="s")
    assert process("rest-1").end_abandoned(of_earlier_runs=True) == 0
    again = process("rest-0", "2")
    assert again.end_abandoned(of_earlier_runs=True) == 1
    with pytest.raises(UploadInterruptedError) as refused:
        again.status("r")
    assert isinstance(refused.value, HostError)
    assert refused.value.code == "upload-interrupted"


def test_pending_uploads_are_limited_in_number_and_bytes(uploads: Uploads) -> None:
    for number in range(16):
        uploads.open(str(number), identity(str(number)), size=1, stage="s")
    with pytest.raises(UnavailableError):
        uploads.open("x", identity("x"), size=1, stage="s")
    with pytest.raises(UploadUnknownError):
        uploads.status("x")
    for number in range(16):
        uploads.succeed(str(number), STORED)
    uploads.open("a", identity("a"), size=2**29, stage="s")
    with pytest.raises(UnavailableError):
        uploads.open("b", identity("b"), size=1, stage="s")


def test_old_outcomes_are_forgotten_but_pending_ones_are_not(
    uploads: Uploads, clock: SimClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.nodes.packages.uploads.REMEMBERED_MAX", 10)
    uploads.open("pending", identity("p"), size=1, stage="s")
    for number in range(12):
        clock.advance(1)
        uploads.open(str(number), identity("a"), size=1, stage="s")
        uploads.succeed(str(number), STORED)
    assert uploads.status("pending").status == "s"
    with pytest.raises(UploadUnknownError, match="No such requestId=0"):
        uploads.status("0")
    assert uploads.status("11").status == "OK"

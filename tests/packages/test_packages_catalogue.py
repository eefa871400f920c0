import hashlib
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cpi.package.model import PackageId
from host.adapters.files.cpi_files import CpiFolder
from host.adapters.sqlite.database import Database
from host.domain.errors import StorageError
from host.domain.ids import Checksum, EpochMs, short_hash_of
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkOfCpi,
    CpkRecord,
    EntityDeclaration,
    FlowDeclaration,
    FlowKind,
    QueryDeclaration,
    StateInVault,
)
from host.nodes.packages.catalogue import PackageCatalogue
from host.nodes.packages.errors import PackageDuplicateError
from host.nodes.packages.tables import PACKAGES

FLOW = FlowDeclaration(
    name="app.Flow",
    kind=FlowKind.CLIENT_STARTABLE,
    protocol="p",
    versions=(1, 2),
    initiating=True,
    input_schema={"type": "object", "required": ["a"]},
    output_schema=None,
)


def checksum_of(data: bytes) -> Checksum:
    return Checksum("SHA-256:" + hashlib.sha256(data).hexdigest().upper())


def record(data: bytes, *, version: str = "1", group_id: str = "g") -> CpiRecord:
    cpk = CpkRecord(
        identity=PackageId(name="cpk", version="1", signer_summary_hash="SHA-256:AB"),
        file_checksum=Checksum("SHA-256:CD"),
        world=CodeWorld.WORKFLOW,
        code_digest="SHA-256:EF",
        flows=(FLOW,),
        contract_types=("app.Contract",),
        state_types=(("app.State", "app.Contract"),),
        queries=(
            QueryDeclaration(
                name="q", where="WHERE TRUE", order_by=(("visible_states.created", True),)
            ),
        ),
        states_in_vault=(StateInVault(state="app.State", json=True, indexes=(("a.b", "c"),)),),
        entities=(
            EntityDeclaration(
                name="app.Entity",
                key=("id",),
                schema={"type": "object"},
                version=2,
                migrations=({"version": 2, "steps": [{"op": "drop", "field": "x"}]},),
                queries=({"name": "q", "where": {"null": {"field": "a"}}},),
                indexes=(("a", "b"),),
            ),
        ),
        capabilities=("ledger",),
        libraries=("lib.jar",),
        limits={"fuelMax": 5},
    )
    return CpiRecord(
        identity=PackageId(name="cpi", version=version, signer_summary_hash="SHA-256:AB"),
        file_checksum=checksum_of(data),
        group_id=group_id,
        group_policy="{}",
        cpks=(cpk,),
        stored_at=EpochMs(7),
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "cluster.sqlite", [PACKAGES]) as opened:
        yield opened


@pytest.fixture
def catalogue(tmp_path: Path, database: Database) -> PackageCatalogue:
    return PackageCatalogue(database=database, files=CpiFolder(tmp_path / "packages"))


def test_a_stored_cpi_is_found_whole(catalogue: PackageCatalogue) -> None:
    kept = record(b"one")
    catalogue.store(kept, b"one", replaces=None)
    assert catalogue.get(kept.file_checksum) == kept
    assert catalogue.find_by_short_hash(short_hash_of(kept.file_checksum)) == kept
    assert catalogue.find_by_identity(kept.identity) == kept
    assert catalogue.all() == [kept]
    assert catalogue.read(kept.file_checksum) == b"one"


def test_an_unknown_cpi_is_none(catalogue: PackageCatalogue) -> None:
    unknown = checksum_of(b"unknown")
    assert catalogue.get(unknown) is None
    assert catalogue.find_by_short_hash(short_hash_of(unknown)) is None
    assert catalogue.find_by_identity(record(b"").identity) is None


def test_the_same_identity_is_stored_once(catalogue: PackageCatalogue, tmp_path: Path) -> None:
    catalogue.store(record(b"one"), b"one", replaces=None)
    with pytest.raises(PackageDuplicateError):
        catalogue.store(record(b"two"), b"two", replaces=None)
    assert [r.file_checksum for r in catalogue.all()] == [checksum_of(b"one")]
    assert len(list((tmp_path / "packages").iterdir())) == 1


def test_a_duplicate_of_the_same_bytes_keeps_the_file(catalogue: PackageCatalogue) -> None:
    kept = record(b"one")
    catalogue.store(kept, b"one", replaces=None)
    with pytest.raises(PackageDuplicateError):
        catalogue.store(kept, b"one", replaces=None)
    assert catalogue.read(kept.file_checksum) == b"one"


def test_other_versions_are_other_cpis(catalogue: PackageCatalogue) -> None:
    catalogue.store(record(b"one"), b"one", replaces=None)
    catalogue.store(record(b"two", version="0"), b"two", replaces=None)
    assert len(catalogue.all()) == 2


def test_a_replaced_checksum_leads_to_the_new_cpi(
    catalogue: PackageCatalogue, tmp_path: Path
) -> None:
    first, second, third = record(b"one"), record(b"two"), record(b"three")
    catalogue.store(first, b"one", replaces=None)
    catalogue.store(second, b"two", replaces=first)
    catalogue.store(third, b"three", replaces=second)
    assert catalogue.all() == [third]
    for old in (first, second):
        assert catalogue.get(old.file_checksum) == third
        assert catalogue.find_by_short_hash(short_hash_of(old.file_checksum)) is None
    catalogue.store(first, b"one", replaces=third)
    assert catalogue.get(third.file_checksum) == first
    catalogue.sweep()
    assert len(list((tmp_path / "packages").iterdir())) == 3


def test_a_cpk_is_found_by_its_checksum_though_its_cpi_was_replaced(
    catalogue: PackageCatalogue,
) -> None:
    """Transactions name it for ever, and judging them needs its code."""
    first, second = record(b"one"), record(b"two")
    other = replace(second.cpks[0], file_checksum=checksum_of(b"another cpk"))
    second = replace(second, cpks=(other,))
    (cpk,) = first.cpks
    assert catalogue.find_cpk(cpk.file_checksum) is None
    catalogue.store(first, b"one", replaces=None)
    assert catalogue.find_cpk(cpk.file_checksum) == CpkOfCpi(cpi=first, cpk=cpk)
    catalogue.store(second, b"two", replaces=first)
    catalogue.sweep()
    found = catalogue.find_cpk(cpk.file_checksum)
    assert found == CpkOfCpi(cpi=first, cpk=cpk)
    assert catalogue.read(found.cpi.file_checksum) == b"one"
    assert catalogue.find_cpk(other.file_checksum) == CpkOfCpi(cpi=second, cpk=other)
    catalogue.store(first, b"one", replaces=second)
    assert catalogue.find_cpk(cpk.file_checksum) == CpkOfCpi(cpi=first, cpk=cpk)
    assert catalogue.find_cpk(other.file_checksum) == CpkOfCpi(cpi=second, cpk=other)


def test_a_cpi_may_replace_itself(catalogue: PackageCatalogue) -> None:
    kept = record(b"one")
    catalogue.store(kept, b"one", replaces=None)
    catalogue.store(replace(kept, stored_at=EpochMs(9)), b"one", replaces=kept)
    assert catalogue.read(kept.file_checksum) == b"one"
    assert [r.stored_at for r in catalogue.all()] == [9]


def test_what_a_crash_left_is_removed_by_the_next_sweep(
    catalogue: PackageCatalogue, database: Database, tmp_path: Path
) -> None:
    kept = record(b"one")
    catalogue.store(kept, b"one", replaces=None)
    folder = tmp_path / "packages"
    (folder / "AAAA.new").write_bytes(b"half")
    (folder / "BBBB.cpi").write_bytes(b"no row")
    again = PackageCatalogue(database=database, files=CpiFolder(folder))
    again.sweep()
    assert [path.suffix for path in folder.iterdir()] == [".cpi"]
    assert again.read(kept.file_checksum) == b"one"


def test_a_damaged_file_is_not_given_out(catalogue: PackageCatalogue, tmp_path: Path) -> None:
    kept = record(b"one")
    catalogue.store(kept, b"one", replaces=None)
    path = next((tmp_path / "packages").iterdir())
    path.write_bytes(b"other")
    with pytest.raises(StorageError, match="damaged"):
        catalogue.read(kept.file_checksum)
    with pytest.raises(StorageError, match="damaged"):
        next(catalogue.chunks(kept.file_checksum))
    path.unlink()
    with pytest.raises(StorageError, match="cannot be used"):
        catalogue.read(kept.file_checksum)
    with pytest.raises(StorageError, match="cannot be read"):
        next(catalogue.chunks(kept.file_checksum))


def test_a_folder_that_is_gone_stores_nothing(catalogue: PackageCatalogue, tmp_path: Path) -> None:
    (tmp_path / "packages").rmdir()
    (tmp_path / "packages").write_text("a file in its place")
    with pytest.raises(StorageError, match="cannot be used"):
        catalogue.store(record(b"one"), b"one", replaces=None)
    assert catalogue.all() == []


def test_a_disk_that_fills_up_stores_nothing(catalogue: PackageCatalogue, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: writing fails half way in both cases."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageError):
            catalogue.store(record(b"x" * 5000), b"x" * 5000, replaces=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert list((tmp_path / "packages").iterdir()) == []
    assert catalogue.all() == []


def test_a_path_that_is_no_folder_is_refused(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        PackageCatalogue(database=database, files=CpiFolder(tmp_path / "file"))

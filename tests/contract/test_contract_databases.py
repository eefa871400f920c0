"""What every database, all vaults and all files of packages must hold to, whatever stores them."""

import hashlib
import threading
from contextlib import ExitStack

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from host.database.revision_cache import RevisionCache
from host.domain.accounts import QuotaExceededError
from host.domain.errors import NotFoundError, StorageError
from host.domain.ids import ShortHash
from host.ports.database import REMEMBERED, Schema
from tests.contract.databases import BYTES_MAX, CPI_FILES, DATABASES, VAULTS

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", String(4096), unique=True),
    info=REMEMBERED,
)
BEAT = Table("beat", METADATA, Column("id", Integer, primary_key=True, autoincrement=False))
SCHEMA = Schema(name="items", metadata=METADATA)
ONE = {"id": 1, "text": "one"}
ALICE, BOB, STRANGER = (ShortHash(letter * 12) for letter in "ABC")


@pytest.fixture(params=list(DATABASES))
def opened(request):
    """Opens the same database again, as another process does."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(DATABASES[request.param](request, [SCHEMA]))


@pytest.fixture
def database(opened):
    return opened()


def add(connection, row=ONE):
    connection.execute(insert(ITEM), row)


def items(database):
    with database.read() as connection:
        return connection.execute(select(ITEM.c.text).order_by(ITEM.c.id)).scalars().all()


def test_what_was_committed_is_there_for_every_process(opened, database):
    assert database.transact(add) is None
    assert items(opened()) == items(database) == ["one"]


def test_a_transaction_gives_what_its_work_returned(database):
    def work(connection):
        add(connection)
        return connection.execute(select(ITEM.c.text)).scalars().all()

    assert database.transact(work) == ["one"]


def test_what_raises_has_changed_nothing_and_is_raised(database):
    def fail(connection):
        add(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transact(fail)
    with pytest.raises(IntegrityError):
        database.transact(lambda c: (add(c), add(c, {"id": 2, "text": "one"})))
    assert items(database) == []


def test_no_other_writer_comes_between(opened):
    databases = [opened() for _ in range(3)]
    databases[0].transact(lambda c: add(c, {"id": 1, "text": "0"}))

    def count_up(database):
        def work(connection):
            value = int(connection.execute(select(ITEM.c.text)).scalar_one())
            connection.execute(update(ITEM).values(text=str(value + 1)))

        for _ in range(20):
            database.transact(work)

    threads = [threading.Thread(target=count_up, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert items(databases[0]) == ["60"]


def test_a_reader_sees_one_moment_while_another_writes(opened, database):
    with database.read() as reader:
        assert reader.execute(select(ITEM)).all() == []
        opened().transact(add)
        assert reader.execute(select(ITEM)).all() == []


def test_a_transaction_inside_another_is_a_mistake_not_a_deadlock(database):
    with pytest.raises(RuntimeError, match="inside the first"):
        database.transact(lambda _: database.transact(add))
    assert items(database) == []


@pytest.mark.parametrize(
    "change",
    [insert(ITEM).values(id=2), update(ITEM).values(text="new"), delete(ITEM)],
    ids=["insert", "update", "delete"],
)
def test_writing_to_a_remembered_table_changes_the_revision_for_every_process(
    opened, database, change
):
    other = opened()
    database.transact(add)
    before = database.revision()
    assert other.revision() == before == database.revision()
    other.transact(lambda connection: connection.execute(change))
    assert database.revision() == other.revision() != before


def test_neither_other_tables_nor_reading_nor_failures_change_the_revision(opened, database):
    other = opened()
    before = database.revision()
    other.transact(lambda c: c.execute(insert(BEAT), {"id": 1}))
    other.transact(lambda c: c.execute(select(ITEM)).all())
    with pytest.raises(IntegrityError):
        other.transact(lambda c: (add(c), add(c)))
    assert database.revision() == other.revision() == before


def test_what_is_remembered_is_read_once_until_any_process_changes_it(opened, database):
    reads = []

    def read(text):
        reads.append(text)
        return text in items(database)

    remembered, other = RevisionCache(database, read), opened()
    found = [remembered.get("one"), remembered.get("one")]
    other.transact(add)
    found += [remembered.get("one"), remembered.get("one")]
    assert found == [False, False, True, True]
    assert reads == ["one", "one"]


def test_deleted_rows_are_scrubbed_while_others_read(opened, database):
    database.transact(add)
    other = opened()
    with other.read() as connection:
        assert len(connection.execute(select(ITEM)).all()) == 1
    database.transact(lambda connection: connection.execute(delete(ITEM)))
    database.scrub()
    assert items(other) == []


class Register:
    """Knows two nodes."""

    def __init__(self):
        self.made = {ALICE: False, BOB: False}

    def is_made(self, short_hash):
        if short_hash not in self.made:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return self.made[short_hash]

    def note_made(self, short_hash):
        self.made[short_hash] = True

    def noted(self, short_hash):
        return 0

    def note_generations(self, generations):
        pass

    def note_problem(self, short_hash, problem):
        pass


@pytest.fixture(params=list(VAULTS))
def vaults(request):
    with VAULTS[request.param](request, [SCHEMA], Register()) as vaults:
        yield vaults


def in_vault(vaults, node):
    with vaults.read(node) as connection:
        return connection.execute(select(ITEM.c.text)).scalars().all()


def test_a_vault_is_made_by_its_first_use(vaults):
    assert not vaults.is_made(ALICE)
    assert vaults.used_bytes(ALICE) == 0
    vaults.transact(ALICE, add)
    assert vaults.is_made(ALICE)
    assert vaults.used_bytes(ALICE) > 0
    assert not vaults.is_made(BOB)


def test_nodes_do_not_see_each_others_vaults(vaults):
    vaults.transact(ALICE, add)
    assert (in_vault(vaults, ALICE), in_vault(vaults, BOB)) == (["one"], [])


def test_a_node_that_is_not_there_has_no_vault_and_gets_none(vaults):
    with pytest.raises(NotFoundError):
        vaults.transact(STRANGER, add)
    with pytest.raises(NotFoundError), vaults.read(STRANGER):
        pass
    with pytest.raises(NotFoundError):
        vaults.used_bytes(STRANGER)


def test_a_vault_does_not_outgrow_its_limit_and_takes_writes_again_when_there_is_room(vaults):
    vaults.transact(ALICE, add)

    def fill(connection):
        rows = [{"id": n, "text": f"{n:04}" * 1000} for n in range(2, BYTES_MAX // 2000)]
        connection.execute(insert(ITEM), rows)

    with pytest.raises(QuotaExceededError):
        vaults.transact(ALICE, fill)
    assert in_vault(vaults, ALICE) == ["one"]
    assert vaults.used_bytes(ALICE) <= BYTES_MAX
    vaults.transact(ALICE, lambda c: add(c, {"id": 2, "text": "two"}))
    vaults.transact(BOB, add)


def test_vaults_of_different_nodes_do_not_wait_for_each_other(vaults):
    vaults.transact(ALICE, add)
    vaults.transact(ALICE, lambda connection: vaults.transact(BOB, add))
    assert in_vault(vaults, BOB) == ["one"]


@pytest.fixture(params=list(CPI_FILES))
def files(request):
    with CPI_FILES[request.param](request) as files:
        yield files


CONTENT = b"a package" * 100_000
CHECKSUM = "SHA-256:" + hashlib.sha256(CONTENT).hexdigest().upper()
OTHER = "SHA-256:" + hashlib.sha256(b"other").hexdigest().upper()


def test_a_file_is_there_whole_under_its_checksum(files):
    assert not files.has(CHECKSUM)
    assert files.write(CHECKSUM, (CONTENT[:5], CONTENT[5:])) is True
    assert files.has(CHECKSUM)
    assert files.read(CHECKSUM) == CONTENT == b"".join(files.chunks(CHECKSUM))
    assert files.write(CHECKSUM, (CONTENT,)) is False


def test_a_file_that_does_not_have_its_checksum_or_is_not_there_is_refused(files):
    files.write(CHECKSUM, (b"other",))
    with pytest.raises(StorageError, match="damaged"):
        files.read(CHECKSUM)
    with pytest.raises(StorageError, match="damaged"):
        next(iter(files.chunks(CHECKSUM)))
    with pytest.raises(StorageError):
        files.read(OTHER)


def test_a_file_whose_bytes_break_off_is_not_there(files):
    def breaking_off():
        yield CONTENT[:5]
        raise OSError(5, "input/output error")

    with pytest.raises(StorageError):
        files.write(CHECKSUM, breaking_off())
    assert not files.has(CHECKSUM)


def test_discarding_and_sweeping_leave_what_is_known(files):
    files.write(CHECKSUM, (CONTENT,))
    files.write(OTHER, (b"other",))
    files.sweep({CHECKSUM, OTHER})
    assert files.has(OTHER)
    files.sweep({CHECKSUM})
    assert (files.has(CHECKSUM), files.has(OTHER)) == (True, False)
    files.discard(CHECKSUM)
    files.discard(CHECKSUM)
    assert not files.has(CHECKSUM)

"""Rotation of wrapping keys: online, over every crash, with the old keys gone afterwards."""

import threading

import pytest
from sqlalchemy import select

from host.adapters.sqlite.database import Database
from host.domain.errors import ForbiddenError
from host.domain.ids import EpochMs
from host.keys import SCHEMA, MasterKeyFiles, SchemePublicKeys, SoftKeyStore
from host.keys.errors import MasterKeyError, MasterKeyGoneError
from host.keys.tables import MASTER_KEY, SIGNING_KEY, WRAPPING_KEY
from host.ports.keys import KeyCategory, RotatedKeys, RotationStatus
from tests.services.support import ALICE, BOB, CountingEntropy, holding

TENANT, OTHER = holding(ALICE).short_hash, holding(BOB).short_hash
EC, SPEC = "CORDA.ECDSA.SECP256R1", "SHA256withECDSA"
PUBLIC = SchemePublicKeys()


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Doomed:
    """Counts what reaches the disk, and crashes before the `at`-th time."""

    def __init__(self, at=None):
        self.at, self.count = at, 0

    def step(self):
        if self.count == self.at:
            raise Crash
        self.count += 1


class DoomedDatabase:
    """A database of any kind; crashes before it begins or after it has made a transaction."""

    def __init__(self, database, doom):
        self._database = database
        self.doom = doom

    def __getattr__(self, name):
        return getattr(self._database, name)

    def transact(self, work):
        self.doom.step()
        result = self._database.transact(work)
        self.doom.step()
        return result

    def scrub(self):
        self.doom.step()
        self._database.scrub()


class DoomedMasterKeys(MasterKeyFiles):
    """Crashes before and after its files change."""

    def __init__(self, secrets, doom):
        super().__init__(secrets, passphrase=None, entropy=CountingEntropy())
        self.doom = doom

    def make(self, generation):
        self.doom.step()
        key = super().make(generation)
        self.doom.step()
        return key

    def destroy_before(self, generation):
        self.doom.step()
        super().destroy_before(generation)
        self.doom.step()


class Host:
    """A key store in a folder; each `open` is a process."""

    def __init__(self, folder, clock):
        self.folder, self.clock = folder, clock
        self.entropy = CountingEntropy()
        self.databases = []

    def open(self, doom=None, keys_at_once=1):
        doom = doom or Doomed()
        database = Database.open(self.folder / "cluster.sqlite", [SCHEMA])
        self.databases.append(database)
        return SoftKeyStore(
            DoomedDatabase(database, doom),
            masters=DoomedMasterKeys(self.folder / "secrets", doom),
            clock=self.clock,
            entropy=self.entropy,
            keys_at_once=keys_at_once,
        )

    def secrets(self):
        return sorted(file.name for file in (self.folder / "secrets").iterdir())

    def rows(self, table):
        with self.databases[-1].read() as connection:
            return connection.execute(select(table)).all()

    def bytes_on_disk(self):
        return b"".join(file.read_bytes() for file in self.folder.rglob("*") if file.is_file())


@pytest.fixture
def host(tmp_path, clock):
    host = Host(tmp_path, clock)
    yield host
    for database in host.databases:
        database.close()


def rotate(store, tenant):
    store.start_rotation(tenant)
    while store.rotate_some(tenant).status is RotationStatus.IN_PROGRESS:
        pass
    return store.rotation(tenant)


def sign(store, *keys):
    for key in keys:
        signature = store.sign(key.tenant, key.public_key, b"x", SPEC)
        assert PUBLIC.verify(key.public_key, b"x", signature, SPEC)


def three_keys(store):
    return [
        store.create(tenant, KeyCategory.LEDGER, alias, EC)
        for tenant, alias in ((TENANT, "a"), (TENANT, "b"), (OTHER, "c"))
    ]


def test_a_tenants_rotation_wraps_its_keys_under_a_new_wrapping_key(host):
    store = host.open()
    keys = three_keys(store)
    before = {row.tenant: row for row in host.rows(WRAPPING_KEY)}
    done = rotate(store, TENANT)
    assert done.status is RotationStatus.DONE
    assert done.keys == (RotatedKeys(name=f"{TENANT}-wrapping-1", total=2, rotated=2),)
    after = {row.tenant: row for row in host.rows(WRAPPING_KEY)}
    assert after[TENANT].generation == 2
    assert after[OTHER] == before[OTHER]
    assert {key.master_key_alias for key in store.list(TENANT)} == {f"{TENANT}-wrapping-2"}
    sign(store, *keys)
    sign(host.open(), *keys)


def test_a_master_rotation_wraps_every_wrapping_key_anew_and_destroys_the_old_file(host):
    store = host.open()
    keys = three_keys(store)
    old = (host.folder / "secrets" / "master-key").read_bytes()
    done = rotate(store, "master")
    assert {(key.name, key.total, key.rotated) for key in done.keys} == {
        (TENANT, 1, 1),
        (OTHER, 1, 1),
    }
    assert host.secrets() == ["master-key-2"]
    assert {row.master_generation for row in host.rows(WRAPPING_KEY)} == {2}
    assert [row.generation for row in host.rows(MASTER_KEY)] == [2]
    sign(store, *keys)
    sign(host.open(), *keys)
    assert old not in host.bytes_on_disk()


def test_wrapped_bytes_of_old_keys_are_gone_from_the_disk(host):
    store = host.open()
    three_keys(store)
    old = [row.wrapped for table in (WRAPPING_KEY, SIGNING_KEY) for row in host.rows(table)]
    rotate(store, TENANT)
    rotate(store, OTHER)
    rotate(store, "master")
    disk = host.bytes_on_disk()
    assert [wrapped in disk for wrapped in old] == [False] * len(old)


def test_progress_is_visible_and_new_keys_are_under_the_new_key_at_once(host, clock):
    store = host.open()
    three_keys(store)
    clock.advance(10)
    started = store.start_rotation(TENANT)
    assert [(k.total, k.rotated) for k in started.keys] == [(2, 0)]
    made = store.create(TENANT, KeyCategory.LEDGER, "d", EC)
    assert made.master_key_alias == f"{TENANT}-wrapping-2"
    clock.advance(10)
    halfway = store.rotate_some(TENANT)
    assert [(k.total, k.rotated) for k in halfway.keys] == [(2, 1)]
    assert (halfway.status, halfway.updated_at) == (
        RotationStatus.IN_PROGRESS,
        EpochMs(started.started_at + 10),
    )
    assert store.rotation(TENANT) == halfway
    sign(store, made, *store.list(TENANT))


def test_a_second_rotation_waits_for_the_first(host):
    store = host.open()
    three_keys(store)
    first = store.start_rotation(TENANT)
    with pytest.raises(ForbiddenError, match=first.request_id):
        store.start_rotation(TENANT)
    while store.rotate_some(TENANT).status is RotationStatus.IN_PROGRESS:
        pass
    assert store.start_rotation(TENANT).request_id != first.request_id


def test_rotations_of_what_has_no_keys_are_done_at_once(host):
    store = host.open()
    assert store.rotation(TENANT) is None
    assert store.rotate_some(TENANT) is None
    assert rotate(store, TENANT).keys == ()
    assert rotate(store, "master").keys == ()
    assert host.secrets() == ["master-key-2"]


def test_rotating_again_when_done_changes_nothing(host):
    store = host.open()
    three_keys(store)
    done = rotate(store, TENANT)
    rows = host.rows(SIGNING_KEY)
    assert store.rotate_some(TENANT) == done
    assert host.rows(SIGNING_KEY) == rows


@pytest.mark.parametrize("tenant", [TENANT, "master"])
def test_a_crash_at_any_point_of_a_rotation_loses_no_key(tmp_path, clock, tenant):
    """Every prefix of what a rotation does to the disk, then a start, then the same again."""
    at, finished = 0, False
    while not finished:
        host = Host(tmp_path / str(at), clock)
        keys = three_keys(host.open())
        doom = Doomed()
        store = host.open(doom)
        doom.at = doom.count + at
        try:
            rotate(store, tenant)
            finished = True
        except Crash:
            pass
        restarted = host.open()
        sign(restarted, *keys)
        known = restarted.rotation(tenant)
        assert known is None or known.status is RotationStatus.DONE
        if known is not None:
            assert all(key.rotated == key.total for key in known.keys)
            wrapped = {row.master_generation for row in host.rows(WRAPPING_KEY)}
            generations = {row.generation for row in host.rows(WRAPPING_KEY)}
            expected = ({2}, {1}) if tenant == "master" else ({1}, {1, 2})
            assert (wrapped, generations) == expected
            assert host.secrets() == [f"master-key{'-2' if tenant == 'master' else ''}"]
        assert rotate(restarted, tenant).status is RotationStatus.DONE
        sign(restarted, *keys)
        assert len(host.secrets()) == 1
        for database in host.databases:
            database.close()
        at += 1
    assert at > 8


def test_a_crash_while_a_crashed_rotation_is_taken_up_loses_no_key(tmp_path, clock):
    for at in range(1, 12):
        host = Host(tmp_path / str(at), clock)
        keys = three_keys(host.open())
        host.open().start_rotation("master")
        for again in range(at):
            try:
                host.open(Doomed(again))
            except Crash:
                continue
        sign(host.open(), *keys)
        assert host.secrets() == ["master-key-2"]
        for database in host.databases:
            database.close()


def test_other_processes_go_on_signing_while_keys_are_rotated(host):
    rotating, signing = host.open(), host.open()
    keys = three_keys(rotating)
    for tenant in ("master", TENANT, "master"):
        rotating.start_rotation(tenant)
        status = RotationStatus.IN_PROGRESS
        while status is RotationStatus.IN_PROGRESS:
            sign(signing, *keys)
            status = rotating.rotate_some(tenant).status
        sign(signing, *keys)
    sign(signing, signing.create(OTHER, KeyCategory.LEDGER, "later", EC))


def test_two_processes_may_rotate_one_tenant_together(host):
    stores = [host.open(), host.open()]
    keys = three_keys(stores[0])
    for number in range(8):
        keys.append(stores[0].create(TENANT, KeyCategory.LEDGER, f"k{number}", EC))
    stores[0].start_rotation(TENANT)

    def advance(store):
        while store.rotate_some(TENANT).status is RotationStatus.IN_PROGRESS:
            pass

    threads = [threading.Thread(target=advance, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(k.total, k.rotated) for k in stores[1].rotation(TENANT).keys] == [(10, 10)]
    sign(stores[1], *keys)


def test_a_passphrase_gets_a_new_salt(tmp_path, clock, entropy):
    def store():
        database = Database.open(tmp_path / "cluster.sqlite", [SCHEMA])
        masters = MasterKeyFiles(tmp_path / "secrets", passphrase="horse", entropy=entropy)
        return database, SoftKeyStore(database, masters=masters, clock=clock, entropy=entropy)

    database, first = store()
    key = first.create(TENANT, KeyCategory.LEDGER, "a", EC)
    rotate(first, "master")
    database.close()
    assert [f.name for f in (tmp_path / "secrets").iterdir()] == ["master-salt-2.json"]
    database, again = store()
    sign(again, key)
    database.close()


def test_a_master_key_that_is_missing_after_a_rotation_is_not_made_anew(host):
    rotate(host.open(), "master")
    (host.folder / "secrets" / "master-key-2").unlink()
    with pytest.raises(MasterKeyGoneError, match="master-key-2"):
        host.open()
    (host.folder / "secrets" / "master-key-2").write_bytes(bytes(32))
    (host.folder / "secrets" / "master-key-2").chmod(0o600)
    with pytest.raises(MasterKeyError, match="not the one"):
        host.open()


def test_an_hsm_is_assigned_once(host):
    store = host.open()
    assert store.hsm(TENANT, KeyCategory.LEDGER) is None
    assigned = store.assign_hsm(TENANT, KeyCategory.LEDGER)
    assert store.assign_hsm(TENANT, KeyCategory.LEDGER) == assigned
    assert store.hsm(TENANT, KeyCategory.LEDGER) == assigned
    assert store.hsm(TENANT, KeyCategory.TLS) is None
    assert store.hsm(OTHER, KeyCategory.LEDGER) is None


def test_the_first_master_key_is_not_made_again_by_who_looks_for_it(tmp_path):
    """A process that looks too late must see that the key is gone, and not another key."""
    secrets = tmp_path / "secrets"
    MasterKeyFiles(secrets, passphrase=None, entropy=CountingEntropy()).make(1)
    MasterKeyFiles(secrets, passphrase=None, entropy=CountingEntropy()).destroy_before(2)
    late = MasterKeyFiles(secrets, passphrase=None, entropy=CountingEntropy())
    with pytest.raises(MasterKeyGoneError):
        late.get(1)
    assert list(secrets.iterdir()) == []


@pytest.mark.parametrize(("first", "then"), [(None, "pass"), ("pass", None)])
def test_a_passphrase_cannot_be_added_or_left_out_later(tmp_path, entropy, first, then):
    """Nothing was destroyed: the operator is told which kind of master key is there."""
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    MasterKeyFiles(secrets, passphrase=first, entropy=entropy).make(1)
    with pytest.raises(MasterKeyError, match=r"(without|under) a passphrase") as refused:
        MasterKeyFiles(secrets, passphrase=then, entropy=entropy).get(1)
    assert refused.value.code == "master-key"

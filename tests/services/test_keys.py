import base64
import hashlib
import threading
from contextlib import closing
from operator import methodcaller

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_public_key,
)
from sqlalchemy import select, update

from host.adapters.sqlite.database import Database
from host.domain.capability_error import CapabilityError
from host.domain.clock import SimClock
from host.keys import (
    SCHEMA,
    SCHEMES,
    CryptoCapability,
    SchemePublicKeys,
    SigningCapability,
    SoftKeyStore,
    load_master_key,
)
from host.keys.errors import (
    KeyAliasExistsError,
    KeyAliasInvalidError,
    KeyMaterialError,
    KeyNotFoundError,
    KeySchemeUnknownError,
    MasterKeyError,
    PublicKeyInvalidError,
    SignatureSpecInvalidError,
)
from host.keys.schemes import SPECS
from host.keys.tables import SIGNING_KEY
from host.keys.wrapping import unwrap
from host.ports.keys import MASTER_TENANT, KeyCategory, KeyOrder, KeyQuery, RotationStatus
from tests.services.support import (
    ALICE,
    BOB,
    MASTER_KEY,
    CountingEntropy,
    MemoryMasterKeys,
    context,
    holding,
)

TENANT = holding(ALICE).short_hash
OTHER = holding(BOB).short_hash
EC = "CORDA.ECDSA.SECP256R1"
PUBLIC = SchemePublicKeys()


def text(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_signs_by_every_spec_that_fits(keys, scheme):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", scheme)
    assert key.scheme == scheme
    fitting = 0
    for spec in SPECS:
        try:
            signature = keys.sign(TENANT, key.public_key, b"data", spec)
        except SignatureSpecInvalidError:
            continue
        fitting += 1
        assert PUBLIC.verify(key.public_key, b"data", signature, spec)
        assert not PUBLIC.verify(key.public_key, b"datb", signature, spec)
        assert not PUBLIC.verify(
            key.public_key, b"data", signature[:-1] + bytes([signature[-1] ^ 1]), spec
        )
    assert fitting == {"CORDA.RSA": 7, "CORDA.EDDSA.ED25519": 1}.get(scheme, 3)
    assert PUBLIC.default_spec(key.public_key) in SPECS


def test_rsa_keys_have_3072_bits(keys):
    key = keys.create(TENANT, KeyCategory.TLS, "k", "CORDA.RSA")
    assert load_pem_public_key(key.public_key.encode()).key_size == 3072


def test_a_key_id_is_the_start_of_the_digest_of_the_encoded_key(keys):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    body = "".join(key.public_key.splitlines()[1:-1])
    assert key.key_id == hashlib.sha256(base64.b64decode(body)).hexdigest()[:12].upper()


def test_no_secret_is_in_the_files_in_clear(tmp_path):
    path = tmp_path / "k.sqlite"
    with Database.open(path, [SCHEMA]) as database:
        store = SoftKeyStore(
            database, masters=MemoryMasterKeys(), clock=SimClock(), entropy=CountingEntropy()
        )
        key = store.create(TENANT, KeyCategory.LEDGER, "k", EC)
        with database.read() as connection:
            wrapping_key = store._wrapping.get(connection, TENANT, 1)
            wrapped = connection.execute(select(SIGNING_KEY.c.wrapped)).scalar_one()
        encoded = unwrap(wrapping_key, wrapped, bound_to=f"signing-key/{TENANT}/{key.key_id}")
        private = load_der_private_key(encoded, password=None)
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    number = private.private_numbers().private_value.to_bytes(32, "big")
    assert key.key_id.encode() in written
    for secret in (number, encoded, wrapping_key, MASTER_KEY):
        assert secret not in written


def test_keys_survive_reopening_and_a_wrong_master_key_is_refused(tmp_path):
    path = tmp_path / "k.sqlite"

    def store(database, master_key):
        return SoftKeyStore(
            database,
            masters=MemoryMasterKeys(master_key),
            clock=SimClock(),
            entropy=CountingEntropy(),
        )

    with Database.open(path, [SCHEMA]) as database:
        key = store(database, MASTER_KEY).create(TENANT, KeyCategory.LEDGER, "k", EC)
    with Database.open(path, [SCHEMA]) as database:
        with pytest.raises(MasterKeyError, match="not the one"):
            store(database, bytes(32))
        reopened = store(database, MASTER_KEY)
        assert list(reopened.list(TENANT)) == [key]
        signature = reopened.sign(TENANT, key.public_key, b"x", "SHA256withECDSA")
    assert PUBLIC.verify(key.public_key, b"x", signature, "SHA256withECDSA")


class SlowlyDerived(MemoryMasterKeys):
    """Derives a key at its first use: a transaction that waited for it would meet itself."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.derived = set()

    def make(self, generation):
        self._derive(generation)
        return super().make(generation)

    def get(self, generation):
        self._derive(generation)
        return super().get(generation)

    def _derive(self, generation):
        if generation not in self.derived:
            self.database.transact(lambda _: None)
            self.derived.add(generation)


def test_no_transaction_waits_until_a_master_key_is_derived(tmp_path):
    with Database.open(tmp_path / "k.sqlite", [SCHEMA]) as database:
        masters = SlowlyDerived(database)

        def opened():
            return SoftKeyStore(
                database, masters=masters, clock=SimClock(), entropy=CountingEntropy()
            )

        first = opened()
        first.create(TENANT, KeyCategory.LEDGER, "a", EC)
        first.start_rotation(MASTER_TENANT)
        assert masters.derived == {1, 2}
        masters.derived.clear()
        # Goes on with the rotation: the tenant's key is still under the older master key.
        second = opened()
        assert masters.derived == {1, 2}
        assert second.rotation(MASTER_TENANT).status is RotationStatus.DONE
        masters.derived.clear()
        opened()
        assert masters.derived == {2}


def test_a_master_key_that_another_process_has_made_is_derived_outside_transactions(tmp_path):
    with Database.open(tmp_path / "k.sqlite", [SCHEMA]) as database:

        class Outside(MemoryMasterKeys):
            def get(self, generation):
                assert database._writer is None or generation in self.known
                self.known.add(generation)
                return super().get(generation)

        masters = Outside()
        masters.known = {1}

        def opened():
            return SoftKeyStore(
                database, masters=masters, clock=SimClock(), entropy=CountingEntropy()
            )

        mine, others = opened(), opened()
        key = mine.create(TENANT, KeyCategory.LEDGER, "a", EC)
        others.start_rotation(MASTER_TENANT)
        assert mine.create(OTHER, KeyCategory.LEDGER, "b", EC).tenant == OTHER
        while mine.rotate_some(MASTER_TENANT).status is RotationStatus.IN_PROGRESS:
            pass
        assert mine.sign(TENANT, key.public_key, b"x", "SHA256withECDSA")
        assert mine.open(TENANT, mine.seal(TENANT, b"x", "y"), "y") == b"x"
        others.start_rotation(MASTER_TENANT)
        mine.start_rotation(TENANT)
        assert mine.export_keys(TENANT)[0].public_key == key.public_key


def test_wrapped_material_moved_to_another_key_or_changed_does_not_open(keys):
    first = keys.create(TENANT, KeyCategory.LEDGER, "a", EC)
    second = keys.create(TENANT, KeyCategory.LEDGER, "b", EC)

    of_second = keys._database.transact(
        lambda connection: connection.execute(
            select(SIGNING_KEY.c.wrapped).where(SIGNING_KEY.c.key_id == second.key_id)
        ).scalar_one()
    )
    for wrapped in (of_second, b"", of_second[:-1] + b"\0"):
        of_first = update(SIGNING_KEY).where(SIGNING_KEY.c.key_id == first.key_id)
        keys._database.transact(methodcaller("execute", of_first.values(wrapped=wrapped)))
        with pytest.raises(KeyMaterialError):
            keys.sign(TENANT, first.public_key, b"x", "SHA256withECDSA")


def test_a_tenant_uses_its_own_keys_only(keys):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    with pytest.raises(KeyNotFoundError, match=OTHER):
        keys.sign(OTHER, key.public_key, b"x", "SHA256withECDSA")
    assert list(keys.find_mine(OTHER, [key.public_key])) == []
    assert list(keys.find_mine(TENANT, [key.public_key])) == [key.public_key]
    assert list(keys.list(OTHER)) == []


@pytest.mark.parametrize("alias", ["", "a" * 129, "a b", "ä", "a/b"])
def test_bad_aliases_are_refused(keys, alias):
    with pytest.raises(KeyAliasInvalidError):
        keys.create(TENANT, KeyCategory.LEDGER, alias, EC)
    assert list(keys.list(TENANT)) == []


def test_an_alias_serves_once_for_each_tenant(keys):
    keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    keys.create(OTHER, KeyCategory.LEDGER, "k", EC)
    with pytest.raises(KeyAliasExistsError):
        keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    assert len(keys.list(TENANT)) == 1


def test_unknown_schemes_are_refused_by_name(keys):
    with pytest.raises(KeySchemeUnknownError, match="SPHINCS"):
        keys.create(TENANT, KeyCategory.LEDGER, "k", "CORDA.SPHINCS-256")


def foreign_keys():
    yield "no key"
    yield ""
    yield "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    yield "x" * 9000
    for key in (
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ):
        yield key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_what_is_no_public_key_of_a_known_scheme_is_refused():
    for foreign in foreign_keys():
        with pytest.raises(PublicKeyInvalidError):
            PUBLIC.key_id(foreign)


def test_equal_keys_have_one_canonical_text(keys):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC).public_key
    assert PUBLIC.canonical(key.replace("\n", "\r\n")) == key
    assert PUBLIC.canonical(key.rstrip()) == key


@pytest.mark.parametrize("beside", ["{key}{key}", "{key}x", "x\n{key}", "{key}\0"])
def test_nothing_may_stand_beside_a_public_key(keys, beside):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC).public_key
    with pytest.raises(PublicKeyInvalidError):
        PUBLIC.canonical(beside.format(key=key))


def test_a_public_key_is_walked_before_it_is_read():
    bomb = b"\x30\x82\x01\x04\x06\x82\x01\x00" + b"\x81" * 255 + b"\x01"
    text = base64.encodebytes(bomb).decode()
    with pytest.raises(PublicKeyInvalidError, match="OBJECT IDENTIFIER at byte 4 has 256 bytes"):
        PUBLIC.key_id(f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n")


def test_threads_make_distinct_keys(keys):
    made = []

    def make(number):
        made.append(keys.create(TENANT, KeyCategory.LEDGER, f"k{number}", EC))

    threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.key_id for key in made} == {key.key_id for key in keys.list(TENANT)}
    for key in made:
        keys.sign(TENANT, key.public_key, b"x", "SHA256withECDSA")


def test_a_generated_master_key_is_kept_in_a_private_file(tmp_path, entropy):
    secrets = tmp_path / "secrets"
    first = load_master_key(secrets, passphrase=None, entropy=entropy)
    assert load_master_key(secrets, passphrase=None, entropy=entropy) == first
    file = secrets / "master-key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(f.name for f in secrets.iterdir()) == ["master-key"]
    file.chmod(0o640)
    with pytest.raises(MasterKeyError, match="0600"):
        load_master_key(secrets, passphrase=None, entropy=entropy)
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(MasterKeyError, match="expected 32 bytes, found 5"):
        load_master_key(secrets, passphrase=None, entropy=entropy)


def test_a_passphrase_gives_the_same_key_again_and_is_not_stored(tmp_path, entropy):
    first = load_master_key(tmp_path, passphrase="correct horse", entropy=entropy)
    assert load_master_key(tmp_path, passphrase="correct horse", entropy=entropy) == first
    assert load_master_key(tmp_path, passphrase="other", entropy=entropy) != first
    written = (tmp_path / "master-salt.json").read_bytes()
    assert b"horse" not in written
    assert first not in written
    with pytest.raises(MasterKeyError, match="empty"):
        load_master_key(tmp_path, passphrase="", entropy=entropy)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b'{"kdf":"scrypt","log2n":1,"r":8,"p":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA=="}'],
)
def test_weakened_or_damaged_derivation_parameters_are_refused(tmp_path, entropy, damage):
    file = tmp_path / "master-salt.json"
    file.write_bytes(damage)
    file.chmod(0o600)
    with pytest.raises(MasterKeyError):
        load_master_key(tmp_path, passphrase="p", entropy=entropy)


def test_flows_sign_with_their_own_keys_and_anyone_can_check(keys):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC).public_key
    request = {"bytes": text(b"data"), "key": key, "spec": "SHA256withECDSA"}
    signed = SigningCapability(keys).call(context(ALICE), "sign", request)
    assert signed["by"] == PUBLIC.key_id(key)
    check = {**request, "signature": signed["bytes"]}
    assert CryptoCapability().call(context(BOB), "verify", check) is True
    assert CryptoCapability().call(context(BOB), "verify", {**check, "bytes": ""}) is False
    with pytest.raises(CapabilityError) as refused:
        SigningCapability(keys).call(context(BOB), "sign", request)
    assert refused.value.code == "key-not-found"


def test_flows_cannot_use_the_keys_of_sessions_and_tls(keys):
    for category in (KeyCategory.SESSION_INIT, KeyCategory.TLS, KeyCategory.PRE_AUTH):
        key = keys.create(TENANT, category, category.value, EC).public_key
        signing = SigningCapability(keys)
        request = {"bytes": "", "key": key, "spec": "SHA256withECDSA"}
        with pytest.raises(CapabilityError) as refused:
            signing.call(context(ALICE), "sign", request)
        assert refused.value.code == "key-not-found"
        assert signing.call(context(ALICE), "find-keys", {"keys": [key]}) == [None]


def test_find_keys_answers_null_for_strangers(keys):
    mine = keys.create(TENANT, KeyCategory.LEDGER, "k", EC).public_key
    other = keys.create(OTHER, KeyCategory.LEDGER, "k", EC).public_key
    answer = SigningCapability(keys).call(context(ALICE), "find-keys", {"keys": [other, mine]})
    assert answer == [None, mine]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("SHA-256", hashlib.sha256(b"abc").hexdigest()),
        ("SHA-256D", hashlib.sha256(hashlib.sha256(b"abc").digest()).hexdigest()),
        ("SHA-384", hashlib.sha384(b"abc").hexdigest()),
        ("SHA-512", hashlib.sha512(b"abc").hexdigest()),
    ],
)
def test_digests(algorithm, expected):
    request = {"algorithm": algorithm, "bytes": text(b"abc")}
    answer = CryptoCapability().call(context(), "digest", request)
    assert answer == f"{algorithm}:{expected.upper()}"


@pytest.mark.parametrize(
    ("capability", "function", "request_", "code"),
    [
        ("crypto", "digest", {"algorithm": "MD5", "bytes": ""}, "digest-algorithm-unknown"),
        ("crypto", "digest", {"algorithm": "SHA-256", "bytes": "?"}, "request-invalid"),
        ("crypto", "digest", {"algorithm": "SHA-256", "bytes": "", "x": 1}, "request-invalid"),
        ("crypto", "other", {}, "request-invalid"),
        (
            "crypto",
            "verify",
            {"bytes": "", "signature": "", "key": "k", "spec": "EdDSA"},
            "public-key-invalid",
        ),
        ("signing", "sign", {"bytes": "", "key": "k", "spec": "EdDSA"}, "public-key-invalid"),
        ("signing", "find-keys", {"keys": "k"}, "request-invalid"),
        ("signing", "find-keys", {"keys": [1]}, "request-invalid"),
        ("signing", "export", {}, "request-invalid"),
    ],
)
def test_malformed_requests_are_refused(keys, capability, function, request_, code):
    target = {"crypto": CryptoCapability(), "signing": SigningCapability(keys)}[capability]
    with pytest.raises(CapabilityError) as refused:
        target.call(context(), function, request_)
    assert refused.value.code == code


def test_a_foreign_private_key_encoding_never_loads(keys):
    key = keys.create(TENANT, KeyCategory.LEDGER, "k", EC)
    private = x25519.X25519PrivateKey.generate()
    encoded = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    from host.keys.wrapping import wrap

    with closing(keys._database):

        def work(connection):

            wrapping_key = keys._wrapping.get(connection, TENANT, 1)
            wrapped = wrap(
                wrapping_key,
                encoded,
                bound_to=f"signing-key/{TENANT}/{key.key_id}",
                nonce=bytes(12),
            )
            connection.execute(update(SIGNING_KEY).values(wrapped=wrapped))

        keys._database.transact(work)
    with pytest.raises(KeyMaterialError, match="not the one"):
        keys.sign(TENANT, key.public_key, b"x", "SHA256withECDSA")


def test_keys_are_asked_for_in_pages_by_the_database(keys):
    """The figures of a query, and that no page repeats or leaves out what is equal in its order."""
    made = [
        keys.create(TENANT, KeyCategory.LEDGER, f"key-{n}", "CORDA.EDDSA.ED25519") for n in range(5)
    ]
    keys.create(TENANT, KeyCategory.NOTARY, "other", "CORDA.ECDSA.SECP256R1")

    def ids(**wanted):
        return [key.key_id for key in keys.query(TENANT, KeyQuery(**{"limit": 9, **wanted}))]

    for order in KeyOrder:
        pages = [ids(order=order, skip=n, limit=2) for n in (0, 2, 4, 6)]
        assert [one for page in pages for one in page] == ids(order=order), order
        assert len(set().union(*pages)) == 6, order
    assert ids(ids=(made[1].key_id, made[3].key_id, "NONE"), order=KeyOrder.ALIAS) == [
        made[1].key_id,
        made[3].key_id,
    ]
    assert ids(alias="key-2") == [made[2].key_id]
    assert len(ids(scheme="CORDA.ECDSA.SECP256R1", category="NOTARY")) == 1
    assert ids(order=KeyOrder.ALIAS, is_descending=True)[1] == made[4].key_id
    at = made[0].created_at
    assert len(ids(created_from=at, created_to=at)) >= 1
    assert ids(created_from=at + 10**9) == ids(created_to=at - 1) == []
    alias = made[0].master_key_alias
    assert len(ids(master_key_alias=alias)) == 6
    for other in (
        alias + "0",
        "x-1",
        "",
        f"{TENANT}-wrapping-01",
        f"{TENANT}-wrapping-" + "9" * 20,
    ):
        assert ids(master_key_alias=other) == [], other
    assert keys.query(OTHER, KeyQuery(limit=9)) == []

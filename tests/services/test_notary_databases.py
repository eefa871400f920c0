"""A notary's database is never replaced by an empty, older or foreign one: none spends twice."""

import os
import shutil
from contextlib import closing, suppress

import pytest
from sqlalchemy import insert

from host.adapters.files.identity.files import file_state
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.errors import (
    UniquenessEmptyError,
    UniquenessForeignError,
    UniquenessMissingError,
    UniquenessOlderError,
)
from host.adapters.sqlite.node_databases import NodeDatabases
from host.adapters.sqlite.node_files import UNIQUENESS
from host.domain.accounts import QuotaExceededError
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.ledger.notary import register as notary_register
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.register import MadeNotaries
from host.ledger.notary.service import UniquenessService
from host.ledger.notary.tables import SCHEMA
from host.nodes import vnode
from host.nodes.vnode.tables import VIRTUAL_NODE
from tests.ledger.transactions import identifier, ref

NODE, OTHER = ShortHash("A" * 12), ShortHash("B" * 12)


@pytest.fixture
def register(tmp_path, clock):
    schemas = [vnode.SCHEMA, notary_register.SCHEMA]
    with Database.open(tmp_path / "cluster.sqlite", schemas) as database:
        texts = [column.name for column in VIRTUAL_NODE.columns if not column.nullable]

        def work(connection):
            for node in (NODE, OTHER):
                row = dict.fromkeys(texts, "x") | {"short_hash": node, "created_at": 1}
                connection.execute(insert(VIRTUAL_NODE), row)

        database.transact(work)
        vaults = vnode.MadeVaults(database=database, clock=clock)
        yield MadeNotaries(database=database, vaults=vaults, clock=clock)


@pytest.fixture
def start(tmp_path, register):
    def start(bytes_max=2**40):
        return closing(
            NodeDatabases(
                UNIQUENESS,
                tmp_path / "vnodes",
                [SCHEMA],
                register=register,
                cluster_id="cluster",
                bytes_max_of=lambda node: bytes_max,
            )
        )

    return start


@pytest.fixture
def spend(start, clock):
    """Ask a notary of its own process about transactions; True where they are accepted."""

    def spend(*requests, node=NODE):
        with start() as databases:
            service = UniquenessService(databases=databases, clock=clock)
            return [service.check(node, each).is_accepted for each in requests]

    return spend


def request(number, *inputs, outputs=1):
    return UniquenessRequest(
        check=Check.WRITE,
        id=identifier(number),
        inputs=inputs,
        references=(),
        output_count=outputs,
        lower=None,
        upper="2999-01-01T00:00:00.000000Z",
        originator="O=Alice, L=London, C=GB",
    )


def file_of(tmp_path, node=NODE):
    return tmp_path / "vnodes" / node / "uniqueness.sqlite"


def test_results_are_counted_and_last(spend, tmp_path, register):
    assert spend(request(1), request(2, ref(1))) == [True, True]
    found = file_state(file_of(tmp_path)).identity
    assert (found.kind, found.node, found.generation) == ("uniqueness", NODE, 2)
    assert (register.noted(NODE), register.made()) == (2, [NODE])
    assert spend(request(3, ref(1)), request(2, ref(1))) == [False, True]


def test_a_database_that_is_gone_is_not_made_anew(spend, tmp_path, register):
    spend(request(1))
    file_of(tmp_path).unlink()
    with pytest.raises(UniquenessMissingError, match=f"virtual node {NODE} is gone"):
        spend(request(1))
    assert not file_of(tmp_path).exists()
    assert [problem.code for problem in register.problems()] == ["uniqueness-missing"]


def test_an_empty_one_is_refused(spend, tmp_path):
    spend(request(1))
    os.truncate(file_of(tmp_path), 0)
    with pytest.raises(UniquenessEmptyError):
        spend(request(1))


def test_an_older_one_would_sell_a_state_twice_and_is_refused(spend, tmp_path):
    spend(request(1))
    shutil.copy(file_of(tmp_path), tmp_path / "old")
    spend(request(2, ref(1)))
    newest = file_of(tmp_path).read_bytes()
    shutil.copy(tmp_path / "old", file_of(tmp_path))
    with pytest.raises(UniquenessOlderError, match="generation 1, expected 2"):
        spend(request(3, ref(1)))
    file_of(tmp_path).write_bytes(newest)
    assert spend(request(3, ref(1))) == [False]


def test_anothers_is_refused(spend, tmp_path):
    spend(request(1))
    spend(request(1), node=OTHER)
    shutil.copy(file_of(tmp_path, OTHER), file_of(tmp_path))
    with pytest.raises(UniquenessForeignError, match=f"virtual node {NODE}"):
        spend(request(1))
    shutil.copy(tmp_path / "cluster.sqlite", file_of(tmp_path))
    with pytest.raises(UniquenessForeignError):
        spend(request(1))


def test_a_node_that_is_not_registered_gets_none(spend, tmp_path):
    unknown = ShortHash("C" * 12)
    with pytest.raises(NotFoundError):
        spend(request(1), node=unknown)
    assert not file_of(tmp_path, unknown).exists()


def test_a_full_account_refuses_and_stores_nothing(start, clock):
    with start() as databases:
        UniquenessService(databases=databases, clock=clock).check(NODE, request(1))
        held = databases.used_bytes(NODE)
    with start(bytes_max=held) as databases:
        service = UniquenessService(databases=databases, clock=clock)
        refused = 2
        with suppress(QuotaExceededError):
            while refused < 1000:
                service.check(NODE, request(refused))
                refused += 1
        with pytest.raises(QuotaExceededError, match="account uniqueness"):
            service.check(NODE, request(refused))
    with start() as databases:
        service = UniquenessService(databases=databases, clock=clock)
        assert service.check(NODE, request(1000, ref(refused))).rejection.kind == (
            "InputStateUnknown"
        )

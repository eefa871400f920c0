"""Claims and balances of tokens against a model: no token is claimed twice, no amount is lost."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.adapters.sqlite.database import Database
from host.domain.ids import EpochMs, FlowId
from host.ledger.core.facts import TokenFacts
from host.ledger.core.selection import select_tokens
from host.ledger.vault import tokens
from host.ledger.vault.tables import CLAIM, OUTPUT, POOL, SCHEMA, TRANSACTION
from host.ledger.vault.tokens import Criteria, Strategy
from tests.support.properties import examples

TOKEN = TokenFacts(token_type="t", issuer_hash="i", notary="n", symbol="s", amount="1")
CRITERIA = Criteria(token_type="t", issuer_hash="i", notary="n", symbol="s")
CLAIM_MS = 10


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with Database.open(tmp_path_factory.mktemp("tokens") / "v.sqlite", [SCHEMA]) as database:
        yield database


class Vault:
    """The vault's statements and the model, side by side."""

    def __init__(self, connection):
        self.connection = connection
        for table in (OUTPUT, CLAIM, POOL, TRANSACTION):
            connection.execute(table.delete())
        self.amounts, self.claims, self.now, self.count = {}, {}, 0, 0

    def issue(self, cents, priority):
        number = self.count = self.count + 1
        id_ = f"SHA-256D:{number:064X}"
        row = {
            "seq": number,
            "id": id_,
            "ledger": "u",
            "status": "V",
            "examined": True,
            "origin": "own",
            "privacy_salt": b"",
            "component_groups": "[]",
            "parameters_hash": "",
            "created_at": 0,
            "updated_at": 0,
            "repairs": 0,
        }
        self.connection.execute(TRANSACTION.insert(), row)
        amount = str(Decimal(cents) / 100)
        token = TokenFacts(
            **{n: getattr(TOKEN, n) for n in ("token_type", "issuer_hash", "notary", "symbol")},
            amount=amount,
            priority=priority,
        )
        columns = tokens.columns_of(self.connection, id_, 0, token)
        tokens.added(self.connection, columns)
        output = {
            "seq": number,
            "transaction_seq": number,
            "output_index": 0,
            "type": "t",
            "representation": "{}",
            "created_at": 0,
        }
        self.connection.execute(OUTPUT.insert(), output | columns)
        self.amounts[number] = Decimal(amount)

    def claim(self, cents, flow, strategy):
        pool = tokens.find_pool(self.connection, CRITERIA)
        assert (pool is not None) == (self.count > 0)
        if pool is None:
            return
        tokens.release_expired(self.connection, pool, EpochMs(self.now))
        self.claims = {n: c for n, c in self.claims.items() if c[1] > self.now}
        begin = tokens.spread_of(str(cents))
        found = tokens.candidates(self.connection, pool, CRITERIA, strategy, begin)
        taken = select_tokens(found, Decimal(cents) / 100)
        free = sum(a for n, a in self.amounts.items() if n not in self.claims)
        assert (taken is None) == (free < Decimal(cents) / 100)
        if taken is None:
            return
        numbers = [token.seq for token in taken]
        assert len(set(numbers)) == len(numbers)
        assert not self.claims.keys() & set(numbers)
        assert sum(self.amounts[n] for n in numbers) >= Decimal(cents) / 100
        end = EpochMs(self.now + CLAIM_MS)
        tokens.claim(
            self.connection,
            pool,
            taken,
            request_id=f"{self.now}-{self.count}-{flow}",
            flow_id=FlowId(flow),
            expires_at=end,
        )
        self.claims |= dict.fromkeys(numbers, (flow, end))

    def consume(self, pick):
        if self.amounts:
            number = sorted(self.amounts)[pick % len(self.amounts)]
            change = OUTPUT.update().where(OUTPUT.c.seq == number)
            self.connection.execute(change.values(consumed_at=self.now))
            tokens.left(self.connection, number)
            del self.amounts[number]
            self.claims.pop(number, None)

    def release(self, flow):
        tokens.release(self.connection, FlowId(flow))
        self.claims = {n: c for n, c in self.claims.items() if c[0] != flow}

    def wait(self, ms):
        self.now += ms

    def check(self):
        available, total = tokens.balance(self.connection, CRITERIA, EpochMs(self.now))
        claimed = {n for n, (_, end) in self.claims.items() if end > self.now}
        assert total == sum(self.amounts.values(), Decimal(0))
        assert available == total - sum((self.amounts[n] for n in claimed), Decimal(0))


FLOWS = st.sampled_from(["one", "two"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("issue"), st.integers(1, 500), st.sampled_from([None, 1, 2])),
        st.tuples(st.just("claim"), st.integers(1, 900), FLOWS, st.sampled_from(Strategy)),
        st.tuples(st.just("consume"), st.integers(0, 30)),
        st.tuples(st.just("release"), FLOWS),
        st.tuples(st.just("wait"), st.integers(1, CLAIM_MS)),
    ),
    max_size=25,
)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_no_token_is_claimed_twice_and_no_amount_is_lost(database, steps):
    def play(connection):
        vault = Vault(connection)
        for name, *arguments in steps:
            getattr(vault, name)(*arguments)
            vault.check()

    database.transact(play)

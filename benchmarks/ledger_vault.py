"""Queries, claims of tokens and recording on one node's vault, without flows.

The rows of large vaults are written beside the ledger, many in a transaction: each repeats the
content of one real transaction under another identifier. What reads them is the ledger's own.
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, insert, select

from benchmarks import workshop
from benchmarks.engine import opened
from benchmarks.flow_steps import commits_per_second
from benchmarks.ledger_crowd import Rate, rate
from benchmarks.ledger_hosts import ALICE, coin_network, payment
from benchmarks.ledger_statements import (
    Statement,
    execute_again,
    signature_check,
    statements_of,
)
from benchmarks.measure import BenchmarkError, Measurement, latencies, median_seconds
from host.domain.capability_error import CapabilityError
from host.domain.ids import FlowId
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.ledger.vault.tables import OUTPUT, POOL, TRANSACTION
from host.ledger.vault.tokens import spread_of
from host.ports.capability import CallContext
from host.runtime.wiring.parts import Wiring

_SMALL, _LARGE = 10_000, 1_000_000
_POOL = 100_000
_BATCH = 10_000
_COIN = "bench_contracts.Coin"
_SECONDS = 5.0
_CLAIMING, _WRITERS = 16, 8
_ROUNDS, _ROUND_SECONDS = 3, 1.0
_BEFORE = 40
_RECORDED = 600
"""Transactions that a writer has to record: more than it can in all rounds."""
_PAGE = 1_000
_SCANNED_PAGES = 200
_TOO_SLOW = "query-too-slow"
_VAULT_BYTES = 64 * 1024**3


class Vault:
    """One node's ledger; `count` numbers its calls, each of which is of another flow."""

    def __init__(self, parts: Wiring, node: VirtualNode, cpi: CpiRecord) -> None:
        self.parts, self.node, self.cpi = parts, node, cpi
        self._numbers = itertools.count(1)

    def call(self, function: str, **request: Any) -> Any:
        number = next(self._numbers)
        flow = FlowId(f"00000000-0000-4000-8000-{number:012d}")
        context = CallContext(
            holding=self.node.holding,
            cpi=self.cpi,
            flow_id=flow,
            request_id=f"{flow}-1",
            now=self.parts.base.clock.now_ms(),
        )
        return self.parts.ledger.call(context, function, request)

    def transact(self, work: Callable[[Connection], object]) -> None:
        self.parts.vaults.transact(self.node.holding.short_hash, work)

    def grow(self, begin: int, end: int, pool: int | None = None) -> None:
        """Add unconsumed states, numbered from `begin` to `end`."""
        for start in range(begin, end, _BATCH):
            numbers = range(start, min(end, start + _BATCH))
            self.transact(lambda c, numbers=numbers: _add(c, numbers, pool))  # type: ignore[misc]


def queries() -> list[Measurement]:
    """First pages by an index in small and large vaults, a scan, and a query without an index."""
    with vault_of("queries") as vault:
        vault.grow(0, _SMALL)
        small = _first_page(vault, _SMALL)
        vault.grow(_SMALL, _LARGE)
        large = _first_page(vault, _LARGE)
        begun = time.process_time()
        scanned = sum(len(page) for page in itertools.islice(_pages(vault), _SCANNED_PAGES))
        scan = scanned / (time.process_time() - begun)
        begun = time.perf_counter()
        code = _refusal(vault)
        refused = time.perf_counter() - begun
    return [
        Measurement(
            name=f"named query by an index, {_LARGE:,} unconsumed states",
            value=1000 * large,
            unit="ms",
            against=f"{_SMALL:,} states ({1000 * small:.2f} ms)",
            ratio=small / large,
            note=f"{large / small:.2f} x; goal: at most 5 x and 50 ms",
        ),
        Measurement(
            name=f"scan by pages of {_PAGE:,}, JSON",
            value=scan,
            unit="states/s",
            note=f"{scanned:,} states; goal: 50,000/s; by processor time",
        ),
        Measurement(
            name="query without an index",
            value=refused,
            unit="s",
            note=f"ended {code}; goal: {_TOO_SLOW} within 6 s",
        ),
    ]


def claims() -> list[Measurement]:
    """Claims of 16 callers on one pool; no token is in two of them."""
    taken: list[str] = []
    with vault_of("claims") as vault:
        pool = _make_pool(vault)
        vault.grow(0, _POOL, pool)
        floor = commits_per_second()

        def claim(_caller: int, _number: int) -> None:
            found = vault.call(
                "record",
                op="claim-tokens",
                targetAmount="1",
                dedupId=None,
                tagRegex=None,
                ownerHash=None,
                strategy="RANDOM",
                **_KIND,
            )
            if found is None:
                raise BenchmarkError("the pool is used up")
            taken.extend(token["stateRef"] for token in found["tokens"])

        per_second, seconds, cpu = rate(_CLAIMING, claim, seconds=_SECONDS)
    if len(set(taken)) != len(taken):
        raise BenchmarkError("a token was claimed twice")
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
    return [
        Measurement(
            name=f"claims of {_CLAIMING} callers on one pool of {_POOL:,}",
            value=per_second,
            unit="claims/s",
            against=f"bare commits, synchronous=FULL ({floor:,.0f}/s)",
            ratio=per_second / floor,
            note=f"{per_second / floor:.2f} x; goal: 4 x; slowest 1 % {late / middle:.1f} x the"
            f" median, goal: at most 20 x; {latencies(seconds)}; {len(taken):,} tokens, none twice;"
            f" {1000 * cpu:.2f} ms of processor time each",
        )
    ]


def recording() -> list[Measurement]:
    """Writers that record transactions, against writers of one row each in the same vault.

    All share commits, and are durable; they take turns, so that a busy machine slows all. A row is
    less than a transaction: the statements of a transaction and the check of its signature, without
    anything else, are the most that recording could reach.
    """
    with vault_of("recording", notary=False) as vault:
        rows = itertools.count()
        for _ in range(_BEFORE):  # so that the numbers of noted rows are no others' values
            vault.call("record", transaction=_built(vault))
        noted = [iter(list(_noted(vault))) for _ in range(_WRITERS)]
        # Last: of the latest transactions the vault knows that contracts accept them.
        groups = [iter([_built(vault) for _ in range(_RECORDED)]) for _ in range(_WRITERS)]
        check = signature_check()

        def write(_caller: int, _number: int) -> None:
            row = _pool_row(str(next(rows)))
            vault.transact(lambda c: c.execute(insert(POOL), [row]))

        def record(caller: int, _number: int) -> None:
            vault.call("record", transaction=next(groups[caller]))

        def execute(caller: int, _number: int) -> None:
            statements = next(noted[caller])
            check()
            vault.transact(lambda c: execute_again(c, statements))

        alone, bare, recorded, executed = list[float](), list[Rate](), list[Rate](), list[Rate]()
        for _ in range(_ROUNDS):
            alone.append(commits_per_second())
            bare.append(rate(_WRITERS, write, seconds=_ROUND_SECONDS))
            recorded.append(rate(_WRITERS, record, seconds=_ROUND_SECONDS))
            executed.append(rate(_WRITERS, execute, seconds=_ROUND_SECONDS))
    floor, commits, most = (
        statistics.median(each.per_second for each in side) for side in (bare, recorded, executed)
    )
    cpu_bare, cpu, cpu_most = (
        statistics.median(each.cpu for each in side) for side in (bare, recorded, executed)
    )
    return [
        Measurement(
            name=f"transactions recorded by {_WRITERS} writers",
            value=commits,
            unit="/s",
            against=f"one row each, the same writers and vault ({floor:,.0f}/s)",
            ratio=commits / floor,
            note=f"{commits / floor:.2f} x; goal: 0.7 x; {1000 * cpu:.2f} ms of processor time"
            f" each, a row {1000 * cpu_bare:.2f} ms: {cpu_bare / cpu:.2f} x; its statements and the"
            f" check of its signature alone reach {most / floor:.2f} x ({1000 * cpu_most:.2f} ms:"
            f" {cpu_bare / cpu_most:.2f} x), of which recording has {commits / most:.2f} x"
            f" ({cpu_most / cpu:.2f} x); of commits that share"
            f" nothing {commits / statistics.median(alone):.2f} x; contracts ran before, when the"
            " transactions were built",
        )
    ]


@contextmanager
def vault_of(name: str, *, notary: bool = True) -> Iterator[Vault]:
    """The vault of a member that has one real transaction."""
    with coin_network(name, notary=notary) as made:
        made.pay(**payment(notary=notary))
    options = {"quota_vault_bytes_max": _VAULT_BYTES}
    with opened(workshop.folder() / name / "data", options=options) as parts:
        node = next(n for n in parts.nodes.all() if str(n.holding.x500_name) == ALICE)
        cpi = parts.catalogue.get(node.cpi_checksum)
        if cpi is None:
            raise BenchmarkError("the CPI is not stored")
        yield Vault(parts, node, cpi)


def _add(connection: Connection, numbers: range, pool: int | None) -> None:
    found = connection.execute(select(TRANSACTION).order_by(TRANSACTION.c.seq).limit(1)).one()
    model = {k: v for k, v in found._asdict().items() if k != "seq"}
    first = connection.execute(
        select(TRANSACTION.c.seq).order_by(TRANSACTION.c.seq.desc()).limit(1)
    ).scalar_one()
    ids = {number: f"SHA-256D:{number + 1:064X}" for number in numbers}
    seqs = {number: first + place for place, number in enumerate(numbers, start=1)}
    connection.execute(
        insert(TRANSACTION), [{**model, "seq": seqs[n], "id": each} for n, each in ids.items()]
    )
    connection.execute(
        insert(OUTPUT), [_output(model, seqs[n], n, each, pool) for n, each in ids.items()]
    )


def _output(
    model: dict[str, Any], seq: int, number: int, transaction_id: str, pool: int | None
) -> dict[str, Any]:
    value = {"amount": "1", "colour": 1, "number": number, "owner": "-----BEGIN PUBLIC KEY-----"}
    return {
        "transaction_seq": seq,
        "output_index": 0,
        "type": _COIN,
        "representation": json.dumps({_COIN: value}),
        "created_at": model["recorded_at"],
        "consumed_at": None,
        "pool": pool,
        "amount": None if pool is None else "1",
        "tag": None,
        "owner_hash": None,
        "priority": None,
        "spread": None if pool is None else spread_of(f"{transaction_id}:0"),
    }


_KIND = {"tokenType": _COIN, "issuerHash": "SHA-256:AA", "notary": None, "symbol": "GBP"}


def _pool_row(symbol: str, count: int = 0) -> dict[str, object]:
    row = {"notary": "", "token_type": _COIN, "issuer_hash": "SHA-256:AA", "symbol": symbol}
    return {**row, "total": str(count), "count": count}


def _make_pool(vault: Vault) -> int:
    made: list[int] = []

    def make(connection: Connection) -> None:
        connection.execute(insert(POOL), [_pool_row("GBP", _POOL)])
        made.append(
            connection.execute(select(POOL.c.pool).where(POOL.c.symbol == "GBP")).scalar_one()
        )

    vault.transact(make)
    return made[-1]


def _first_page(vault: Vault, count: int) -> float:
    """Median seconds of the first page of a query that an index answers.

    All that is asked for was read before: what is compared is not the disk.
    """
    for number in range(1, count, max(1, count // 97)):
        _query(vault, "by-number", {"number": str(number)})
    numbers = itertools.cycle(str(n) for n in range(1, count, max(1, count // 97)))

    def ask() -> None:
        found = _query(vault, "by-number", {"number": next(numbers)})
        if len(found["results"]) != 1:
            raise BenchmarkError(f"the index found {len(found['results'])} states")

    return median_seconds(ask, repeats=97)


def _pages(vault: Vault) -> Iterator[list[Any]]:
    after = None
    while True:
        found = _query(vault, "all", {}, after=after, limit=_PAGE, results="json")
        yield found["results"]
        after = found["next"]
        if after is None:
            return


def _refusal(vault: Vault) -> str:
    try:
        _query(vault, "by-colour", {"colour": 2})
    except CapabilityError as refused:
        return refused.code
    return "with an answer"


def _query(vault: Vault, name: str, parameters: dict[str, Any], **more: Any) -> Any:
    asked = {"limit": 100, "after": None, **more}
    return vault.call("query", op="named", name=name, parameters=parameters, **asked)


def _built(vault: Vault) -> Any:
    """A signed transaction of the node alone, that is not recorded yet."""
    key = _own_key(vault)
    output = {
        "type": _COIN,
        "contract": "bench_contracts.CoinContract",
        "value": {"amount": "1", "colour": 1, "number": 1, "owner": key},
        "participants": [key],
        "encumbrance": None,
    }
    return vault.call(
        "build",
        notary=None,
        timeWindow=None,
        inputs=[],
        references=[],
        outputs=[output],
        commands=[{"type": "bench_contracts.Pay", "value": {}}],
        signatories=[key],
    )


def _noted(vault: Vault) -> Iterator[Sequence[Statement]]:
    """The statements that record transactions, each of another one."""
    for _ in range(_RECORDED):
        built = _built(vault)
        yield statements_of(
            vault.parts.vaults,
            lambda built=built: vault.call("record", transaction=built),  # type: ignore[misc]
        )


def _own_key(vault: Vault) -> str:
    info = vault.parts.members.lookup(vault.node.holding, vault.node.holding.x500_name)
    if info is None:
        raise BenchmarkError("the node is no member")
    return info.ledger_keys[0]

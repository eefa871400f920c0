"""Notarisations, finality and backchains over REST, between nodes of a host."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import workshop
from benchmarks.engine import opened
from benchmarks.ledger_hosts import ALICE, BOB, ECHO, PAY, CoinNetwork, coin_network, payment
from benchmarks.measure import BenchmarkError, Measurement, seconds_of
from benchmarks.processor import used
from host.domain.packages import contracts_of
from host.ledger.core.components import from_groups
from host.ledger.core.model import Resolved
from host.ledger.vault import outputs, transactions
from host.runtime.wiring.parts import Wiring

_FLOWS = 40
_ROUNDS = 3
_CHAIN = 1_000
_LINKS = 50
"""Transactions of one flow, while a chain is made."""
_ADDED_MIB_MAX = 64
_PAGE = 200


def notarisations() -> list[Measurement]:
    """Payments of a node to itself, each with a notary, against conversations of one message."""
    with coin_network("notarisations", notary=True) as made:
        rates, cpu = _rates(
            made,
            {
                "notarised": lambda: made.all(PAY, [payment(notary=True)] * _FLOWS),
                "echo": lambda: made.all(ECHO, [{"to": BOB}] * _FLOWS),
            },
        )
    ratio = rates["notarised"] / rates["echo"]
    return [
        Measurement(
            name=f"notarisations through flows, {_FLOWS} at once",
            value=rates["notarised"],
            unit="/s",
            against=f"echo conversations ({rates['echo']:,.1f}/s)",
            ratio=ratio,
            note=f"{ratio:.2f} x; goal: 0.6 x; {1000 * cpu['notarised']:.1f} ms of processor time"
            f" each, an echo {1000 * cpu['echo']:.1f} ms: {cpu['echo'] / cpu['notarised']:.2f} x",
        )
    ]


def finality() -> list[Measurement]:
    """Payments between two parties, with a notary and in a group without one."""
    rates, cpu = {}, {}
    for notary in (True, False):
        with coin_network(f"finality-{notary}", notary=notary) as made:
            body = payment(notary=notary, to=BOB)
            found, seconds = _rates(made, {"pay": lambda: made.all(PAY, [body] * _FLOWS)})  # noqa: B023  # called in this round
            rates[notary], cpu[notary] = found["pay"], seconds["pay"]
    ratio = rates[True] / rates[False]
    return [
        Measurement(
            name=f"finality of two parties and a notary, {_FLOWS} at once",
            value=rates[True],
            unit="/s",
            against=f"two parties without a notary ({rates[False]:,.1f}/s)",
            ratio=ratio,
            note=f"{ratio:.2f} x; goal: 0.5 x; {1000 * cpu[True]:.1f} ms of processor time each,"
            f" without a notary {1000 * cpu[False]:.1f} ms: {cpu[False] / cpu[True]:.2f} x; the"
            " platform's share of it (goal: 40 %) is not told apart",
        )
    ]


def backchain() -> list[Measurement]:
    """A newcomer takes the end of a chain, against its contract alone on the same transactions."""
    with coin_network("backchain", notary=True) as made:
        coin: str | None = None
        for _ in range(_CHAIN // _LINKS):
            coin = made.pay(**payment(notary=True, coin=coin, links=_LINKS))
        pids = made.pids
        before, begun_cpu = _resident_mib(pids), used(*pids).cpu_seconds
        resolved = seconds_of(lambda: made.pay(**payment(notary=True, coin=coin, to=BOB)))
        cpu = used(*pids).cpu_seconds - begun_cpu
        added = _peak_mib(pids) - before
        bob = made.nodes[BOB]
    with opened(workshop.folder() / "backchain" / "data") as parts:
        count, bare, bare_cpu = _verify_again(parts, bob)
    if count <= _CHAIN:
        raise BenchmarkError(f"the newcomer has {count} transactions of {_CHAIN + 1}")
    return [
        Measurement(
            name=f"backchain of {count - 1} transactions, resolved by a newcomer",
            value=resolved,
            unit="s",
            against=f"as many contract verifications alone ({bare:.2f} s)",
            ratio=bare / resolved,
            note=f"{resolved / bare:.2f} x; goal: at most 1.8 x; {cpu:.2f} s of processor time,"
            f" verifications alone {bare_cpu:.2f} s: {cpu / bare_cpu:.2f} x",
        ),
        Measurement(
            name="backchain: resident memory above that before",
            value=added,
            unit="MiB",
            note=f"goal: at most {_ADDED_MIB_MAX} MiB, all processes of the host at their peaks",
        ),
    ]


def _rates(
    made: CoinNetwork, actions: dict[str, Callable[[], object]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Flows per second of each action, and processor seconds of the host for each flow."""
    seconds, cpu = dict.fromkeys(actions, 0.0), dict.fromkeys(actions, 0.0)
    for action in actions.values():
        action()
    for _ in range(_ROUNDS):
        for name, action in actions.items():
            begun = used(*made.pids).cpu_seconds
            seconds[name] += seconds_of(action)
            cpu[name] += used(*made.pids).cpu_seconds - begun
    flows = _ROUNDS * _FLOWS
    return (
        {name: flows / taken for name, taken in seconds.items()},
        {name: taken / flows for name, taken in cpu.items()},
    )


def _verify_again(parts: Wiring, short_hash: str) -> tuple[int, float, float]:
    """Run the contract of every transaction of a node.

    How many, seconds and seconds of processor time, without reading.
    """
    node = next(each for each in parts.nodes.all() if each.holding.short_hash == short_hash)
    cpi = parts.catalogue.get(node.cpi_checksum)
    if cpi is None:
        raise BenchmarkError("the CPI is not stored")
    cpks, seconds, cpu, count, beyond = contracts_of(cpi), 0.0, 0.0, 0, None
    while True:
        with parts.vaults.read(node.holding.short_hash) as connection:
            page = transactions.list_page(
                connection, limit=_PAGE, beyond=beyond, newest_first=False
            )
            whole = [_resolved(connection, each) for _, each in page]
        for resolved in whole:
            begun, begun_cpu = time.perf_counter(), time.process_time()
            judged = parts.contracts.verify(cpks, resolved.to_json(), node=node.holding.short_hash)
            seconds += time.perf_counter() - begun
            cpu += time.process_time() - begun_cpu
            if judged.failures:
                raise BenchmarkError(f"refused: {judged.failures}")
        count += len(page)
        if not page:
            return count, seconds, cpu
        beyond = page[-1][0]


def _resolved(connection: object, transaction_id: str) -> Resolved:
    signed = transactions.find(connection, transaction_id)  # type: ignore[arg-type]  # a connection
    if signed is None:
        raise BenchmarkError(f"{transaction_id} is not verified")
    content = from_groups(signed.groups)
    states = outputs.find(connection, content.inputs)  # type: ignore[arg-type]  # a connection
    return Resolved(id=signed.id, transaction=content, inputs=tuple(states), references=())


def _resident_mib(pids: list[int]) -> float:
    return sum(_status_kib(pid, "VmRSS") for pid in pids) / 1024


def _peak_mib(pids: list[int]) -> float:
    return sum(_status_kib(pid, "VmHWM") for pid in pids) / 1024


def _status_kib(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


__all__ = ["ALICE", "backchain", "finality", "notarisations"]

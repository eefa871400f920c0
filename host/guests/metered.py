"""Contract runs that are charged to a virtual node.

The charges may delay later runs of the node, by its quota; they never shorten a contract's run.
"""

from collections.abc import Sequence

from host.domain.ids import ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpkOfCpi
from host.domain.quotas import RunCharge
from host.guests.contracts import SandboxedContracts
from host.ports.clock import Clock
from host.ports.directory import Judged
from host.ports.quotas import Quotas


class MeteredContracts:
    """A `ContractVerifier`. Safe to use from several threads."""

    def __init__(self, contracts: SandboxedContracts, *, quotas: Quotas, clock: Clock) -> None:
        self._contracts = contracts
        self._quotas = quotas
        self._clock = clock

    def verify(
        self, cpks: Sequence[CpkOfCpi], transaction: JsonObject, *, node: ShortHash | None = None
    ) -> Judged:
        if node is None:
            return self._contracts.judge(cpks, transaction).judged()
        begun = self._clock.now_ms()
        judgement = self._contracts.judge(cpks, transaction, node=node)
        passed_ms = self._clock.now_ms() - begun
        for run in judgement.runs:
            self._quotas.spent(node, RunCharge(usage=run.usage, wall_ms=passed_ms, code=run.code))
            passed_ms = 0  # of all runs together, charged with the first
        return judgement.judged()

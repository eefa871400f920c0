"""`VaultFunctions` over the sandbox: a run of the workflow CPK that contains the states' code."""

import json
from collections.abc import Iterator, Sequence

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.guest_text import GuestTextError, checked_json, cut_message
from host.domain.ids import ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, CpkRecord
from host.domain.quotas import RunCharge
from host.guests.library import shown_to_tenants
from host.guests.limits import limits_of, limits_of_quota
from host.guests.source import GuestSource
from host.ports.clock import Clock
from host.ports.quotas import Quotas
from sandbox.errors import HostMemoryError, SandboxError
from sandbox.outcome import Outcome, Returned

FLOW_CLASS = "cordbox:vault"
"""In place of a flow's class; no CPK can declare one of this name."""


class SandboxedVaultFunctions:
    """Safe to use from several threads."""

    def __init__(self, *, library: GuestSource, quotas: Quotas, clock: Clock) -> None:
        self._library = library
        self._quotas = quotas
        self._clock = clock

    def record(
        self, cpi: CpiRecord, request: JsonObject, *, node: ShortHash
    ) -> Sequence[JsonObject]:
        """See `VaultFunctions.record`."""
        found: list[JsonObject] = []
        for cpk, indexes in _runs(cpi, request):
            start = {
                "flowId": FLOW_CLASS,
                "flowClass": FLOW_CLASS,
                "me": "",
                "requestBody": {**request, "op": "record", "outputs": indexes},
                "session": None,
            }
            found += _answer(cpk, self._run(cpi, cpk, json.dumps(start), node))
        return found

    def _run(self, cpi: CpiRecord, cpk: CpkRecord, start: str, node: ShortHash) -> Outcome:
        begun = self._clock.now_ms()
        code = None
        usage = None
        try:
            limits = limits_of(cpk, limits_of_quota(self._quotas.quota(node)))
            outcome = self._library.guest(cpi, cpk, node=node).call("run", start, limits=limits)
        except (StorageError, UnavailableError):
            raise
        except HostMemoryError as refused:
            raise UnavailableError(refused.message) from refused
        except (SandboxError, HostError) as refused:
            code, usage = refused.code, getattr(refused, "usage", None)
            raise _failed(cpk, f"{code}: {shown_to_tenants(refused)}") from refused
        else:
            usage = outcome.usage
            return outcome
        finally:
            if usage is not None:
                passed_ms = self._clock.now_ms() - begun
                self._quotas.spent(node, RunCharge(usage=usage, wall_ms=passed_ms, code=code))


def _runs(cpi: CpiRecord, request: JsonObject) -> Iterator[tuple[CpkRecord, list[int]]]:
    """The CPKs to run, each with the outputs whose types it contains."""
    transaction, indexes = request["transaction"], request["outputs"]
    assert isinstance(transaction, dict)  # noqa: S101  # the ledger's own request
    assert isinstance(indexes, list | tuple)  # noqa: S101
    left = [index for index in indexes if isinstance(index, int)]
    for cpk in cpi.workflow_cpks():
        types = {state for state, _ in cpk.state_types}
        mine = [index for index in left if transaction["outputs"][index]["type"] in types]
        left = [index for index in left if index not in mine]
        if mine:
            yield cpk, mine


def _answer(cpk: CpkRecord, outcome: Outcome) -> Sequence[JsonObject]:
    if not isinstance(outcome, Returned):
        raise _failed(cpk, "the run was paused")
    if outcome.is_error:
        raise _failed(cpk, outcome.value or "")
    try:
        answer = checked_json(outcome.value or "")
    except GuestTextError as refused:
        raise _failed(cpk, refused.message) from refused
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise _failed(cpk, "expected a list of objects")
    return answer


def _failed(cpk: CpkRecord, message: str) -> CapabilityError:
    return CapabilityError("vault-function-failed", cut_message(f"{cpk.identity.name}: {message}"))

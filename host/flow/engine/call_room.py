"""Room for a host call: in its flow's journal, in its node's accounts, and in the step."""

from collections.abc import Sequence
from typing import NoReturn

from host.domain.accounts import Account, QuotaExceededError, hit_of
from host.domain.capability_error import CapabilityError
from host.domain.quotas import Quota, QuotaCode
from host.flow.core.journal import Entries
from host.flow.core.messages import Sent
from host.flow.core.room import Room
from host.flow.engine.flow_services import FlowServices
from host.flow.engine.journal_room import JournalRoom
from host.flow.engine.step_state import StepState
from host.ports.bus import NewRecord
from host.ports.guest import GuestKilledError

UNWRITTEN_BYTES_MAX = 512 * 1024
"""Maximum bytes of outgoing records and answers that a step holds. Beyond it, the step commits in
its middle: commits must be short, since they block all other commits."""


class CallRoom:
    """Mutable, of one run of a flow, whose journal is read."""

    def __init__(
        self, flow: StepState, journal: Entries, services: FlowServices, quota: Quota
    ) -> None:
        self._flow = flow
        self._journal = journal
        self._services = services
        self._quota = quota
        unwritten = journal[flow.written :]
        self._written_bytes = journal.characters - sum(len(e.answer) for e in unwritten)
        self._room = Room(balances=flow.balances, node=flow.holding_id, quota=quota)
        self._journal_room = JournalRoom(flow, self._room)

    @property
    def is_step_full(self) -> bool:
        """Whether the step has to commit before it goes on."""
        return max(self._flow.outgoing_bytes, self._unwritten_bytes) > UNWRITTEN_BYTES_MAX

    def changed(self) -> None:
        """A call has changed the flow's checkpoint."""
        self._journal_room.changed()

    def forget(self) -> None:
        """The step has written its output."""
        self._journal_room.forget()
        self._written_bytes = self._journal.characters

    def check_journal(self, name: str) -> None:
        """Refuse a call before it is made if the flow's journal has no room for its answer.

        Raises:
            GuestKilledError: the quota of calls, or `quota-exceeded`.
            StorageError: the store cannot be read.
        """
        quota = self._quota
        if len(self._journal) >= quota.journal_calls_max:
            raise GuestKilledError(
                QuotaCode.JOURNAL,
                f"host call {name}: the flow's journal has {len(self._journal)} calls,"
                f" at most {quota.journal_calls_max}",
            )
        if self._journal.characters >= quota.journal_bytes_max:
            self._end_without_room(
                f"host call {name}: account journal: the journal has {self._journal.characters}"
                f" characters, at most {quota.journal_bytes_max}"
            )
        try:
            self._journal_room.check(unwritten=self._unwritten_bytes)
        except QuotaExceededError as exc:
            self._end_without_room(f"host call {name}: {exc.message}")

    def check_bus(self, sent: Sequence[Sent], records: Sequence[NewRecord]) -> None:
        """Refuse a call whose messages exceed its node's room on the bus.

        Raises:
            CapabilityError: `quota-exceeded`.
        """
        more = sum(each.charged for each in sent) + sum(record.size for record in records)
        if not more:
            return
        try:
            self._room.check(Account.BUS, pending=self._flow.outgoing_bytes, more=more)
        except QuotaExceededError as exc:
            raise CapabilityError(exc.code, exc.message, account=exc.details["account"]) from exc

    @property
    def _unwritten_bytes(self) -> int:
        """Bytes of the answers that the step has not written yet."""
        return self._journal.characters - self._written_bytes

    def _end_without_room(self, message: str) -> NoReturn:
        self._services.quotas.hit(self._flow.holding_id, hit_of(Account.JOURNAL))
        raise GuestKilledError(QuotaExceededError.code, message)

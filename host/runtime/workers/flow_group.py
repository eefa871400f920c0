"""Who is a member of the group that shares out flows, and who has left it by dying.

Only members of this host are let go (`MemberName`): what others' have come to is for the group to
find out, which hears of them no more.
"""

from host.domain.group_members import MemberName
from host.domain.workers import WorkerKind
from host.flow.core.messages import GROUP
from host.ports.groups import Groups
from host.runtime.rpc import Interface


class FlowGroup:
    """The group as the workers of one run of a host keep it."""

    def __init__(self, groups: Groups, *, host: str, run: str) -> None:
        self._groups = groups
        self._host = host
        self._run = run

    def enter(self, worker: str, pid: int) -> str:
        """The name under which a starting worker is to join; those it replaces are let go.

        Raises:
            StorageError: the store cannot be written.
        """
        for membership in self._groups.members(GROUP):
            name = MemberName.parse(membership.member)
            if name is None or name.host != self._host:
                continue
            if name.worker == worker or name.run != self._run:
                self._groups.leave(GROUP, membership.member)
        return self._member(worker, pid)

    def left(self, worker: str, pid: int) -> None:
        """Give away the partitions of a worker process that has died."""
        self._groups.leave(GROUP, self._member(worker, pid))

    def _member(self, worker: str, pid: int) -> str:
        return str(MemberName(host=self._host, worker=worker, pid=pid, run=self._run))


FLOW_GROUP = Interface("flow-group", FlowGroup, WorkerKind.FLOW, ("left",))

"""Members of the group that shares the partitions of flows, and removal of dead members.

Only members of this host are removed (`MemberName`): members of other hosts are removed by the
group when their heartbeats stop.
"""

from host.domain.group_members import MemberName
from host.domain.workers import WorkerKind
from host.flow.core.messages import GROUP
from host.ports.groups import Groups
from host.runtime.rpc import Interface


class FlowGroup:
    """A consumer group as used by the workers of one run of a host: that of flows, or another."""

    def __init__(self, groups: Groups, *, host: str, run: str, group: str = GROUP) -> None:
        self._groups = groups
        self._host = host
        self._run = run
        self._group = group

    def enter(self, worker: str, pid: int) -> str:
        """The name under which a starting worker joins; removes the members that it replaces.

        Raises:
            StorageError: the store cannot be written.
        """
        for membership in self._groups.members(self._group):
            name = MemberName.parse(membership.member)
            if name is None or name.host != self._host:
                continue
            if name.worker == worker or name.run != self._run:
                self._groups.leave(self._group, membership.member)
        return self._member(worker, pid)

    def left(self, worker: str, pid: int) -> None:
        """Release the partitions of a worker process that has died."""
        self._groups.leave(self._group, self._member(worker, pid))

    def _member(self, worker: str, pid: int) -> str:
        return str(MemberName(host=self._host, worker=worker, pid=pid, run=self._run))


FLOW_GROUP = Interface("flow-group", FlowGroup, WorkerKind.FLOW, ("left",))

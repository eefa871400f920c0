"""The thread of membership in the process that has the registrations of its host."""

from host.network.group_thread import GroupThread
from host.network.membership.figures import MembershipFigures, figures
from host.network.membership.workers import MEMBERSHIPS, MembershipWork
from host.observe.membership_observer import MembershipObserver
from host.observe.network_metrics import MembershipCollector
from host.runtime.wiring.link_parts import LinkWiring


def start_membership(parts: LinkWiring, member: str) -> None:
    """Do the work of dynamic networks until the parts of the process are closed.

    Args:
        parts: the parts of this process, on a host with a gateway.
        member: its name in the group of membership, never used before.
    """
    observer = MembershipObserver(parts.base.registry, parts.base.clock)
    work = MembershipWork(
        parts.network_access,
        parts.network_worker,
        parts.store,
        parts.base.clock,
        handled=observer.handled,
    )
    workers = GroupThread(
        MEMBERSHIPS,
        work=work,
        store=parts.store,
        clock=parts.base.clock,
        member=member,
        failed=observer.failed,
    )
    health = parts.network_health

    def read() -> MembershipFigures:
        return figures(parts.database, health.first_expiry())

    parts.base.registry.register(MembershipCollector(read, parts.base.clock))

    def changed() -> None:
        work.changed()
        workers.wake()

    parts.membership_changes.follow(changed)
    parts.base.stack.callback(workers.stop)
    workers.start()

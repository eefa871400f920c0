"""Assignments of consumer groups in PostgreSQL. The caller holds a transaction and its lock."""

from host.adapters.group_assignment import GroupAssignment, Heartbeat, Ownership
from host.domain.ids import EpochMs
from plugins.postgres.connections import Session

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('cordbox group ' || :g, 0))"


def lock_roster(session: Session, group: str) -> EpochMs:
    """Exclude other changes of a group until the transaction ends; returns the database's time.

    Steps are excluded by the rows of `owners`, which each step locks and each change updates.
    """
    session.run(_LOCK, g=group)
    ((now,),) = session.run("SELECT present_ms()")
    return EpochMs(now)


def load_roster(session: Session, group: str, partitions: int) -> GroupAssignment:
    """The assignment of a group; empty if it has never had a member."""
    found = session.run("SELECT generation FROM groups WHERE name = :g", g=group)
    pulses = session.run("SELECT member, beat_at, ttl_ms FROM members WHERE consumer = :g", g=group)
    owners = session.run("SELECT partition, member, epoch FROM owners WHERE consumer = :g", g=group)
    return GroupAssignment(
        group=group,
        generation=found[0][0] if found else 0,
        pulses={m: Heartbeat(beat_at=EpochMs(at), ttl_ms=ttl) for m, at, ttl in pulses},
        owners={n: Ownership(member=m, epoch=e) for n, m, e in owners},
        partitions=partitions,
    )


def save_roster(session: Session, before: GroupAssignment, after: GroupAssignment) -> None:
    """Write the differences; owners by number, the order in which steps lock them."""
    group = after.group
    for name in sorted(before.pulses.keys() - after.pulses.keys()):
        session.run("DELETE FROM members WHERE consumer = :g AND member = :m", g=group, m=name)
    for name, pulse in sorted(after.pulses.items()):
        if before.pulses.get(name) != pulse:
            session.run(
                "INSERT INTO members VALUES (:g, :m, :at, :ttl) ON CONFLICT (consumer, member)"
                " DO UPDATE SET beat_at = excluded.beat_at, ttl_ms = excluded.ttl_ms",
                g=group,
                m=name,
                at=pulse.beat_at,
                ttl=pulse.ttl_ms,
            )
    if after.generation == before.generation:
        return
    session.run(
        "INSERT INTO groups VALUES (:g, :n)"
        " ON CONFLICT (name) DO UPDATE SET generation = excluded.generation",
        g=group,
        n=after.generation,
    )
    for number, owner in sorted(after.owners.items()):
        if before.owners.get(number) != owner:
            session.run(
                "INSERT INTO owners VALUES (:g, :p, :m, :e) ON CONFLICT (consumer, partition)"
                " DO UPDATE SET member = excluded.member, epoch = excluded.epoch",
                g=group,
                p=number,
                m=owner.member,
                e=owner.epoch,
            )

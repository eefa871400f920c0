"""Why outward records wait, as it is stored for all processes of the cluster."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from host.domain.group_members import MemberName
from host.domain.ids import EpochMs
from host.ports.groups import Groups
from host.ports.state import StateConflictError, States, StateWrite
from host.ports.units import Commits, Unit

GROUP = "relay"
"""The group of the relays; its offsets are what has been sent."""
PLACES_MAX = 20
"""Partitions that one trouble names."""
_PREFIX = "relay/trouble/"
_HOSTS_MAX = 256


class Trouble(Struct, frozen=True, kw_only=True, rename="camel"):
    """What keeps a host's relay from sending.

    Attributes:
        since: when it began.
        code, message: why.
        places: partitions that wait, such as `flow.status-3`; at most `PLACES_MAX`.
    """

    v: int = 1
    since: EpochMs
    code: str
    message: str
    places: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(Trouble)


class TroubleReads(States, Groups, Protocol):
    """What troubles are read from."""


class TroubleStore(States, Commits, Protocol):
    """What a relay writes its troubles to."""


def troubles(store: TroubleReads) -> Sequence[Trouble]:
    """The troubles of all hosts whose relays run, by host.

    Raises:
        StorageError: the store cannot be read.
    """
    states = store.scan(_PREFIX, _HOSTS_MAX)
    if not states:
        return ()
    names = (MemberName.parse(each.member) for each in store.members(GROUP))
    hosts = {name.host for name in names if name is not None}
    return [_decoder.decode(s.value) for s in states if _host_of(s.key) in hosts]


def _host_of(key: str) -> str:
    return key.removeprefix(_PREFIX).partition("/")[0]


def write_trouble(
    store: TroubleStore, host: str, trouble: Trouble | None, *, part: str = ""
) -> None:
    """Record what troubles the relay of a host, or another `part` of it; None: nothing.

    Raises:
        StorageError: the store cannot be written.
    """
    key = _PREFIX + host + (f"/{part}" if part else "")
    found = store.get(key)
    if found is None and trouble is None:
        return
    write = StateWrite(
        key=key,
        value=None if trouble is None else msgspec.json.encode(trouble),
        expected=0 if found is None else found.version,
    )
    try:
        store.commit(Unit(states=(write,)))
    except StateConflictError:
        return  # another process of the host took over meanwhile, and tells of itself

"""Quotas of a virtual node as values: limits and usage of its guests. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from host.domain.accounts import Account, hit_of
from host.domain.errors import InvalidInputError
from host.domain.ids import EpochMs
from sandbox.limits import Usage

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB
_EXACT_MAX = 2**53 - 1
"""The largest integer that every JSON reader represents exactly."""


class QuotaInvalidError(InvalidInputError):
    """A quota is unknown, or its value is outside its range."""

    code = "quota-invalid"


class QuotaCode(StrEnum):
    """The quota that was hit, by the code that ended the run, delayed it or refused its start."""

    FUEL = "out-of-fuel"
    FUEL_RATE = "fuel-rate"
    MEMORY = "memory-limit"
    WALL = "deadline-exceeded"
    HOST_CALLS = "too-many-host-calls"
    HOST_CALL_RATE = "host-call-rate"
    LOG = "log-limit"
    LOG_RATE = "log-rate"
    PAYLOAD = "payload-too-large"
    JOURNAL = "journal-limit"
    FLOWS = "flows-too-many"
    HOPS = "flow-hops-too-many"
    DESCENDANTS = "flow-descendants-too-many"


QUOTA_CODES = frozenset([hit.value for hit in QuotaCode] + [hit_of(account) for account in Account])
"""Keys under which hits are counted; `quota-exceeded:<account>` for an account without room."""


def _bounded(default: int, minimum: int, maximum: int, meaning: str) -> int:
    bounded: int = dataclasses.field(
        default=default,
        metadata={"minimum": minimum, "maximum": maximum, "meaning": meaning},
    )
    return bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What the guests of one virtual node may use. The defaults are those of a host.

    Limits of a run apply to workflows. Contracts' runs are charged, and may delay other runs, but
    are limited by their platform version alone.
    """

    fuel_max: int = _bounded(
        2_000_000_000, 1, _EXACT_MAX, "Fuel (about one unit per instruction) of one sandbox run."
    )
    fuel_per_second_max: int = _bounded(
        4_000_000_000,
        1,
        _EXACT_MAX,
        "Fuel that a node's runs may use in a second on average; what is beyond waits.",
    )
    memory_bytes_max: int = _bounded(
        128 * _MIB, 64 * _KIB, 4 * _GIB, "Linear memory of one sandbox in bytes."
    )
    table_elements_max: int = _bounded(
        100_000, 1, 10_000_000, "Elements of each table of one sandbox."
    )
    wall_ms_max: int = _bounded(10_000, 1, 3_600_000, "Milliseconds that one sandbox run may take.")
    host_calls_max: int = _bounded(
        10_000, 1, 10_000_000, "Host calls of one run, replayed ones and log lines included."
    )
    host_call_ms_per_second_max: int = _bounded(
        4_000,
        1,
        1_000_000,
        "Milliseconds that a node's runs may spend in host calls in a second on average, waiting"
        " included; what is beyond waits.",
    )
    log_bytes_max: int = _bounded(
        64 * _KIB, 0, 64 * _MIB, "Bytes that one run may write to the log."
    )
    log_bytes_per_second_max: int = _bounded(
        256 * _KIB,
        1,
        _GIB,
        "Bytes that a node's runs may log in a second on average; what is beyond waits.",
    )
    payload_bytes_max: int = _bounded(
        4 * _MIB, 1 * _KIB, 128 * _MIB, "Bytes of any one text that crosses a sandbox's boundary."
    )
    journal_calls_max: int = _bounded(
        10_000, 1, 1_000_000, "Host calls in the journal of one flow."
    )
    journal_bytes_max: int = _bounded(
        64 * _MIB, 1 * _KIB, 4 * _GIB, "Bytes of all answers in the journal of one flow."
    )
    journals_bytes_max: int = _bounded(
        _GIB,
        _MIB,
        1024 * _GIB,
        "Account `journal`: bytes of the checkpoints and journals of a node's open flows.",
    )
    bus_bytes_max: int = _bounded(
        256 * _MIB,
        _MIB,
        1024 * _GIB,
        "Account `bus`: bytes of a node's records on their way and unread, of records set aside,"
        " and of external messages that nobody has fetched.",
    )
    statuses_bytes_max: int = _bounded(
        64 * _MIB,
        _MIB,
        1024 * _GIB,
        "Account `status`: bytes of a node's flow statuses with their results; the oldest of ended"
        " flows go first.",
    )
    histories_bytes_max: int = _bounded(
        256 * _MIB,
        _MIB,
        1024 * _GIB,
        "Account `history`: bytes of the histories of a node's ended flows; the oldest go first.",
    )
    audit_bytes_max: int = _bounded(
        4 * _GIB, _MIB, 1024 * _GIB, "Account `audit`: bytes of a node's audit log."
    )
    parked_bytes_max: int = _bounded(
        256 * _MIB,
        0,
        64 * _GIB,
        "Account `parked`: memory of a node's suspended guests that a process keeps for their next"
        " step; the oldest go first.",
    )
    vault_bytes_max: int = _bounded(
        _GIB, _MIB, 1024 * _GIB, "Account `vault`: bytes that the storage of one node may take."
    )
    uniqueness_bytes_max: int = _bounded(
        64 * _GIB,
        _MIB,
        1024 * _GIB,
        "Account `uniqueness`: bytes that a notary may keep of transactions and spent states.",
    )
    flows_open_max: int = _bounded(
        10_000, 1, 1_000_000, "Flows of one node that have not ended, responders among them."
    )
    flows_open_from_node_max: int = _bounded(
        2_000,
        1,
        1_000_000,
        "Responders of one node that one initiating node may have open; never more than half of all"
        " flows that the node may have open.",
    )

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for each in dataclasses.fields(self):
            check_quota(each.name, getattr(self, each.name))

    def account_max(self, account: Account) -> int | None:
        """Bytes that an account may hold; None for `log`, which is a rate."""
        name = ACCOUNT_QUOTAS.get(account)
        return None if name is None else int(getattr(self, name))

    def with_overrides(self, overrides: Mapping[str, int]) -> "Quota":
        """This quota with some values replaced.

        Raises:
            QuotaInvalidError: an unknown name, or a value outside its range.
        """
        for name in overrides:
            if name not in QUOTA_NAMES:
                raise QuotaInvalidError(f"quota {name[:64]!r} is none of {', '.join(QUOTA_NAMES)}")
        return dataclasses.replace(self, **overrides)


ACCOUNT_QUOTAS: Mapping[Account, str] = {
    Account.BUS: "bus_bytes_max",
    Account.STATUS: "statuses_bytes_max",
    Account.JOURNAL: "journals_bytes_max",
    Account.HISTORY: "histories_bytes_max",
    Account.AUDIT: "audit_bytes_max",
    Account.VAULT: "vault_bytes_max",
    Account.PARKED: "parked_bytes_max",
    Account.UNIQUENESS: "uniqueness_bytes_max",
}
"""Account -> the quota that is its limit."""

QUOTA_NAMES = tuple(f.name for f in dataclasses.fields(Quota))

USAGE_COUNTERS = (
    "runs",
    "fuel",
    "wallMs",
    "hostCalls",
    "hostCallMs",
    "logBytes",
    "storageBytes",
    "flowsOpen",
)
"""Counters of a node's usage by their names in REST, in the order in which they are shown."""


def quota_range(name: str) -> tuple[int, int]:
    """The least and the greatest value that the quota `name` can have."""
    metadata = _FIELDS[name].metadata
    return int(metadata["minimum"]), int(metadata["maximum"])


def quota_meaning(name: str) -> str:
    return str(_FIELDS[name].metadata["meaning"])


_FIELDS = {f.name: f for f in dataclasses.fields(Quota)}


def check_quota(name: str, value: object, *, shown_as: str | None = None) -> None:
    """Check a value; the refusal names the quota as the caller wrote it.

    Raises:
        QuotaInvalidError: the value is no whole number in the quota's range.
    """
    minimum, maximum = quota_range(name)
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise QuotaInvalidError(
            f"quota {shown_as or name} is {str(value)[:32]}, expected a number from {minimum} to"
            f" {maximum}"
        )


DEFAULT_QUOTA = Quota()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCharge:
    """The charge of one run to its node.

    Attributes:
        usage: what the sandbox counted.
        wall_ms: duration of the run.
        host_call_ms: part of `wall_ms` spent in host calls, including waiting, but not outages of
            the platform.
        calls: host calls made for the first time, by `interface.function`.
        code: the reason why the run was ended, if it was; a code of `QuotaCode` counts as a hit.
    """

    usage: Usage
    wall_ms: int
    host_call_ms: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """How often a quota was hit, and when it was last hit."""

    count: int
    last_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUsage:
    """The usage of a node's guests since the node was created.

    Attributes:
        runs: sandbox runs, of flows and of contracts.
        calls: host calls by `interface.function`, each counted once; replays do not count.
        hits: by the code of the quota that was hit.
        since: time of the first counted use; None if there was none.
    """

    runs: int = 0
    fuel: int = 0
    wall_ms: int = 0
    host_calls: int = 0
    host_call_ms: int = 0
    log_bytes: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    hits: Mapping[str, Hit] = field(default_factory=dict)
    since: EpochMs | None = None

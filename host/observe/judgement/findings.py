"""Findings: what needs an operator. The table is the reference of their codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from host.domain.ids import EpochMs


class Severity(StrEnum):
    """`critical`: something has stopped. `warning`: it gets worse, and will stop something."""

    CRITICAL = "critical"
    WARNING = "warning"


class Subject(StrEnum):
    """The kind of thing that a finding is about."""

    HOST = "host"
    WORKER = "worker"
    QUEUE = "queue"
    NODE = "node"
    DEAD_LETTERS = "dead-letters"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """A kind of finding: when it is made, and what to do."""

    name: str
    subject: Subject
    meaning: str
    action: str


FINDINGS: Mapping[str, FindingKind] = {
    kind.name: kind
    for kind in (
        FindingKind(
            name="host-not-ready",
            subject=Subject.HOST,
            meaning="A check of the host fails, so that it cannot do its work.",
            action="Look up the code of the check and do what is said there.",
        ),
        FindingKind(
            name="host-degraded",
            subject=Subject.HOST,
            meaning="Some nodes cannot work: a vault or a uniqueness database cannot be used, or a"
            " package is missing. Others are not concerned.",
            action="Restore what is named from a backup.",
        ),
        FindingKind(
            name="certificate-expires",
            subject=Subject.CERTIFICATE,
            meaning="The certificate of the REST interface ends soon, or has ended.",
            action="Replace the files of the certificate; the host rereads them.",
        ),
        FindingKind(
            name="network-certificate-expires",
            subject=Subject.CERTIFICATE,
            meaning="A certificate of a node's network setup ends within 30 days, or has ended.",
            action="Import a new certificate and repeat the network setup of the node.",
        ),
        FindingKind(
            name="worker-down",
            subject=Subject.WORKER,
            meaning="A worker is not ready for 10 seconds or longer.",
            action="Read its log lines; the supervisor starts it again by itself.",
        ),
        FindingKind(
            name="queue-waits",
            subject=Subject.QUEUE,
            meaning="The oldest record of a queue waits for 10 seconds or longer (critical from a"
            " minute on).",
            action="See which workers run, and which node's flows fill the queue.",
        ),
        FindingKind(
            name="records-set-aside",
            subject=Subject.QUEUE,
            meaning="Records could not be processed for a minute or longer and are tried again.",
            action="Mend what the cause names; the records are then processed by themselves.",
        ),
        FindingKind(
            name="dead-letters",
            subject=Subject.DEAD_LETTERS,
            meaning="Records were given up within the last 24 hours.",
            action="Look at the dead letters and at the flows that they belong to.",
        ),
        FindingKind(
            name="disk-low",
            subject=Subject.HOST,
            meaning="Less than a tenth of the disk is free (critical below 3 %).",
            action="Free some room, or move the data directory to a larger disk.",
        ),
        FindingKind(
            name="node-at-quota",
            subject=Subject.NODE,
            meaning="A node hit one of its quotas within the last 5 minutes.",
            action="See what the node uses, and raise the quota or end what uses it.",
        ),
        FindingKind(
            name="node-fails",
            subject=Subject.NODE,
            meaning="Of a node's flows that ended in the last hour, at least 5 and a fifth failed"
            " (critical from a half on).",
            action="Look at the failed flows of the node.",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that needs an operator.

    Attributes:
        name: a key of `FINDINGS`.
        named: the subject: a short hash, a topic, a worker; empty for the host itself.
        title: what it is, in a few words.
        consequence: what it means, in one or two sentences.
        since: when it began, if that is known.
        deadline: when it becomes worse, if that is known.
        figures: the numbers of both sentences by name.
    """

    name: str
    severity: Severity
    named: str
    title: str
    consequence: str
    since: EpochMs | None = None
    deadline: EpochMs | None = None
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> FindingKind:
        return FINDINGS[self.name]

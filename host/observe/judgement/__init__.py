"""What needs an operator, and why: facts in, findings out. Pure.

REST, `cordbox host status`, the console and alerts use the same findings.
"""

from host.observe.judgement.facts import (
    DeadLetterFacts,
    Facts,
    HitFacts,
    NodeFacts,
    ProblemFacts,
    QueueFacts,
    SetAsideFacts,
    WorkerFacts,
)
from host.observe.judgement.findings import FINDINGS, Finding, FindingKind, Severity, Subject
from host.observe.judgement.judge import judged
from host.observe.judgement.pain import Pain, pain_of

__all__ = [
    "FINDINGS",
    "DeadLetterFacts",
    "Facts",
    "Finding",
    "FindingKind",
    "HitFacts",
    "NodeFacts",
    "Pain",
    "ProblemFacts",
    "QueueFacts",
    "SetAsideFacts",
    "Severity",
    "Subject",
    "WorkerFacts",
    "judged",
    "pain_of",
]

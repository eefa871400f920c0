"""How much a node hurts: one number, and the phrase that explains it."""

from dataclasses import dataclass

from host.domain.wording import count, span
from host.observe.judgement.facts import NodeFacts

PAIN_MAX = 1000
HIT_FRESH_MS = 5 * 60_000
"""A quota that was hit longer ago does not hurt any more."""
FAILED_MIN = 5
FAILED_SHARE_MIN = 0.2
FAILED_SHARE_CRITICAL = 0.5
_OFF_PAIN = 20

QUOTA_WORDS = {
    "out-of-fuel": "runs end without fuel",
    "fuel-rate": "waits for fuel",
    "memory-limit": "runs end without memory",
    "deadline-exceeded": "runs take too long",
    "too-many-host-calls": "too many host calls",
    "host-call-rate": "waits for host calls",
    "log-limit": "logs too much",
    "log-rate": "waits, as it logs too fast",
    "payload-too-large": "payloads too large",
    "journal-limit": "journals too long",
    "flows-too-many": "too many open flows",
    "flow-hops-too-many": "too many hops",
    "flow-descendants-too-many": "too many descendants",
}
"""What a node's hits of a quota mean, in a few words."""
_ACCOUNT = "quota-exceeded:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pain:
    """From 0, well, to `PAIN_MAX`. `phrase` explains it; empty for 0."""

    amount: int
    phrase: str
    is_critical: bool = False


def pain_of(node: NodeFacts, now: int) -> Pain:
    """The worst of what a node suffers."""
    return max(_pains(node, now), key=lambda pain: pain.amount)


def quota_phrase(code: str) -> str:
    """The words for hits of a quota or an account."""
    if code.startswith(_ACCOUNT):
        return f"account {code.removeprefix(_ACCOUNT)} is full"
    return QUOTA_WORDS.get(code, code)


def fails_much(node: NodeFacts) -> bool:
    """Whether enough of its flows fail to look at it."""
    return node.failed_hour >= FAILED_MIN and failed_share(node) >= FAILED_SHARE_MIN


def failed_share(node: NodeFacts) -> float:
    """The part of the flows that ended in the last hour which failed."""
    return node.failed_hour / max(node.ended_hour, node.failed_hour, 1)


def _pains(node: NodeFacts, now: int) -> list[Pain]:
    found = [Pain(amount=0, phrase="")]
    if not node.is_active:
        found.append(Pain(amount=_OFF_PAIN, phrase="maintenance"))
    if node.failed_hour:
        share = failed_share(node)
        much = fails_much(node)
        found.append(
            Pain(
                amount=int(400 + 600 * share) if much else int(100 * share) + 10,
                phrase=f"{count(node.failed_hour)} failed in 1 h",
                is_critical=much and share >= FAILED_SHARE_CRITICAL,
            )
        )
    for hit in node.hits:
        age = max(now - hit.last_at, 0)
        if age <= HIT_FRESH_MS:
            fresh = 1 - age / HIT_FRESH_MS
            found.append(Pain(amount=int(300 + 300 * fresh), phrase=quota_phrase(hit.code)))
    return found


def hit_sentence(code: str, number: int, age_ms: int) -> str:
    """What a hit means for the node's flows."""
    often = "once" if number == 1 else f"{count(number)} times in all"
    return f"Its quota was hit {often}, {span(age_ms)} ago for the last time ({code})."

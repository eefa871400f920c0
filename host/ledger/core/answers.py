"""What the functions `protocol.*` of the ledger answer to programs: small JSON objects.

A program's rows hold these answers, so they name transactions by id and carry none.
"""

from typing import Annotated

from msgspec import Meta, Struct

from host.ledger.core.messages import Content

REPAIR_FIRST_MS = 10 * 60_000
"""A finality that goes well is over by then."""
REPAIR_UNTIL_MS = 5 * 24 * 60 * 60_000


class RepairTimes(Struct, frozen=True, kw_only=True):
    """When a transaction that its finality leaves undecided is repaired.

    Attributes:
        first_ms: after its finality has begun.
        until_ms: after the end of its time window it is given up.
    """

    first_ms: int = REPAIR_FIRST_MS
    until_ms: int = REPAIR_UNTIL_MS


class BegunFinality(Struct, frozen=True, kw_only=True):
    """An examined own transaction, stored as unverified.

    Attributes:
        notary: whether it names a notary.
        backchain: whether receivers need the transactions that it depends on.
        dependencies: their ids, each once, in the order of inputs and references.
        until: the end of its time window; None if it has no notary.
        repair_ms: when its repair is due, unless it is decided before.
    """

    id: str
    notary: bool
    backchain: bool
    dependencies: list[str]
    until: str | None
    repair_ms: int = REPAIR_FIRST_MS


class TakenProposal(Struct, frozen=True, kw_only=True):
    """A transaction proposed by a counterparty, stored as unverified.

    Attributes:
        more: signatures of other parties will follow.
        version: of the protocol.
        resolve: ids of the transactions of which the backchain is to be resolved.
        repair_ms: when its repair is due, unless it is decided before; None without a notary.
    """

    id: str
    more: bool
    version: int
    resolve: list[str]
    repair_ms: int | None = None


class BegunTransfer(Struct, frozen=True, kw_only=True):
    """A transaction that may be sent."""

    id: str


class TakenTransfer(Struct, frozen=True, kw_only=True):
    """A transferred transaction, stored as unverified unless it was sent to be seen only.

    Attributes:
        resolve: ids of the transactions of which the backchain is to be resolved.
    """

    id: str
    resolve: list[str]


class CheckedBuilder(Struct, frozen=True, kw_only=True):
    """A builder with canonical keys and names."""

    builder: Content


class TakenBuilder(Struct, frozen=True, kw_only=True):
    """A builder with what a counterparty has added.

    Attributes:
        resolve: ids of the transactions of which the backchain is to be resolved.
    """

    builder: Content
    resolve: list[str]


class RepairPlan(Struct, frozen=True, kw_only=True):
    """What is to be repaired of a transaction.

    Attributes:
        status: a letter.
        done: it is verified, or invalid for ever.
        until: the end of its time window; None if it has no notary that could be asked.
        incomplete: signatories have not signed, as far as this node knows.
        parties: counterparties of its finality, X.500 names.
        given_up_ms: after the end of its time window nobody is asked for longer than that.
    """

    status: str
    done: bool
    until: str | None
    incomplete: bool
    parties: list[str]
    given_up_ms: int = REPAIR_UNTIL_MS


class Signed(Struct, frozen=True, kw_only=True):
    """This node's agreement: its signatures, perhaps none, and what its contract runs found.

    Attributes:
        notary: whether the transaction names a notary.
        repair_ms: when its repair is due, unless it is decided before.
    """

    signatures: list[Content]
    verifications: list[Content]
    notary: bool
    repair_ms: int = REPAIR_FIRST_MS


class Finished(Struct, frozen=True, kw_only=True):
    """A transaction is verified; `visible`: indexes of the outputs that concern this node."""

    visible: list[int]


class RebuiltOutputs(Struct, frozen=True, kw_only=True):
    """A part of a vault was rebuilt.

    Attributes:
        after: the number of the last transaction.
        done: there are no more.
        transactions, changed, failed: how many there were, were changed, and were left as they are
            because the functions failed.
    """

    after: int
    done: bool
    transactions: int
    changed: int
    failed: int


class ChainLimits(Struct, frozen=True, kw_only=True):
    """What a backchain may have: transactions, bytes, milliseconds, and ids in one question."""

    batch: int
    transactions: int
    bytes: int
    millis: int


class ChainPlan(Struct, frozen=True, kw_only=True):
    """What a vault lacks of some transactions.

    Attributes:
        ask: those that it has not, in the order asked for.
        unverified: those that it has and has not verified, with the ids that they depend on.
    """

    ask: list[str]
    unverified: dict[str, list[str]]


class TakenChain(Struct, frozen=True, kw_only=True):
    """Transactions of a backchain that were stored as unverified.

    Attributes:
        taken: their ids, with the ids that each depends on.
        parameters: hashes of group parameters that are not known here.
        bytes: length of the transactions.
    """

    taken: dict[str, list[str]]
    parameters: list[str]
    bytes: int


class VerifiedChain(Struct, frozen=True, kw_only=True):
    """How many of the transactions were verified, in order; the rest is to be asked for again."""

    count: Annotated[int, Meta(ge=1)]


class ServedChain(Struct, frozen=True, kw_only=True):
    """What was sent of a backchain.

    Attributes:
        sent: ids of the transactions.
        dependencies: ids that the sent transactions depend on, which may be asked for next.
        parameters: hashes of the group parameters that they name.
    """

    sent: list[str]
    dependencies: list[str]
    parameters: list[str]


class Dependencies(Struct, frozen=True, kw_only=True):
    """What verified transactions depend on, each id once."""

    ids: list[str]


class OfferedProposal(Struct, frozen=True, kw_only=True):
    """A proposal was sent; `backchain`: ids that the receiver may ask for."""

    backchain: list[str]


class NotaryPlan(Struct, frozen=True, kw_only=True):
    """How a transaction's notary is asked.

    Attributes:
        service: the X.500 name of the notary service.
        protocol: Corda's name of the protocol that it serves.
        versions: of the protocol, that both sides know.
        nodes: X.500 names of the service's active members, at least one.
        backchain_required: receivers of the transaction resolve its backchain.
        attempts: how often it is asked before it counts as not reached.
        answer_ms: how long an answer is waited for.
    """

    service: str
    protocol: str
    versions: list[int]
    nodes: Annotated[list[str], Meta(min_length=1)]
    backchain_required: bool
    attempts: int
    answer_ms: int


class NotaryError(Struct, frozen=True, kw_only=True):
    """Why a notary did not sign; `lower`: the instant before which it does not decide."""

    kind: str
    message: str
    lower: str | None = None


class NotaryAnswer(Struct, frozen=True, kw_only=True):
    """A notary's answer: verified signatures, or an error."""

    signatures: list[Content]
    error: NotaryError | None


class ServedNotarisation(Struct, frozen=True, kw_only=True):
    """What a notary has decided.

    Attributes:
        id: of the transaction; None if the request names none.
        answer: for the client.
        kind: of the refusal; None if the transaction was accepted.
    """

    id: str | None
    answer: Content
    kind: str | None

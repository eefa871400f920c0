"""The host API's messages as types: what each function is asked, and what it answers.

docs/reference/host-api.md in Python's words. Binary is base64, keys are PEM, instants are texts
such as `2026-11-21T05:00:00.000000Z`, hashes are `ALGORITHM:HEX`.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Json: TypeAlias = Any
"""Any JSON value."""


class LogWrite(TypedDict):
    """The request of `log.write`."""

    level: Literal["debug", "info", "warn", "error"]
    logger: str
    message: str


class Nothing(TypedDict):
    """A request without fields."""


class FlowRandom(TypedDict):
    """The request of `flow.random`."""

    bytes: int


class FlowSleep(TypedDict):
    """The request of `flow.sleep`."""

    millis: int


class FlowContext(TypedDict):
    """The request of `flow.context`; `value` is for `put`."""

    op: Literal["get", "put"]
    key: str
    value: NotRequired[str]


class FlowSubFlow(TypedDict):
    """The request of `flow.sub-flow`; which members there are depends on `op`."""

    op: Literal["enter", "leave", "fail"]
    flow: NotRequired[str]
    protocol: NotRequired[str | None]
    versions: NotRequired[list[int]]
    message: NotRequired[str]
    code: NotRequired[str | None]


class SessionOpen(TypedDict):
    """The request of `sessions.open`."""

    counterparty: str
    requireClose: NotRequired[bool]
    timeoutMillis: NotRequired[int | None]


class SessionOpened(TypedDict):
    """The answer of `sessions.open`."""

    session: str


class SessionMessage(TypedDict):
    """One message of `sessions.send`."""

    session: str
    payload: Json


class SessionsSend(TypedDict):
    """The request of `sessions.send`."""

    messages: list[SessionMessage]


class Sessions(TypedDict):
    """Of `receive` and `close`."""

    sessions: list[str]


class SessionRef(TypedDict):
    """The request of `sessions.info`."""

    session: str


class SessionInfo(TypedDict):
    """The answer of `sessions.info`."""

    counterparty: str
    protocol: str
    protocolVersion: int


class Entity(TypedDict):
    """`key`: a text, a whole number, true or false; a list of these if it is composite."""

    type: str
    key: Json
    value: NotRequired[Json]


class PersistenceWrite(TypedDict):
    """The request of `persistence.write`."""

    op: Literal["persist", "merge", "remove"]
    entities: list[Entity]
    dedupId: NotRequired[str | None]


class PersistenceRead(TypedDict):
    """Fields beside `op` and `type` depend on `op`."""

    op: str
    type: NotRequired[str]
    keys: NotRequired[list[Json]]
    query: NotRequired[str]
    parameters: NotRequired[dict[str, Json]]
    offset: NotRequired[int]
    limit: NotRequired[int]


class SigningSign(TypedDict):
    """The request of `signing.sign`."""

    bytes: str
    key: str
    spec: str


class Signature(TypedDict):
    """The answer of `signing.sign`."""

    by: str
    bytes: str


class SigningFindKeys(TypedDict):
    """The request of `signing.find-keys`."""

    keys: list[str]


class CryptoDigest(TypedDict):
    """The request of `crypto.digest`."""

    algorithm: str
    bytes: str


class CryptoVerify(TypedDict):
    """The request of `crypto.verify`."""

    bytes: str
    signature: str
    key: str
    spec: str


class MembershipLookup(TypedDict):
    """The request of `membership.lookup`."""

    by: Literal["me", "name", "key", "all", "group-parameters"]
    name: NotRequired[str]
    key: NotRequired[str]
    after: NotRequired[str]
    limit: NotRequired[int]


class LedgerVerify(TypedDict):
    """The request of `ledger.verify`: a transaction and whether to sign it, or an operation."""

    op: NotRequired[str]
    transaction: NotRequired[Json]
    sign: NotRequired[bool]
    filtered: NotRequired[Json]


class LedgerRecord(TypedDict):
    """The request of `ledger.record`."""

    op: NotRequired[str]
    transaction: Json


class LedgerFind(TypedDict):
    """The request of `ledger.find`: one of `id` and `stateRefs`, or an operation."""

    op: NotRequired[str]
    id: NotRequired[str]
    stateRefs: NotRequired[list[str]]
    ids: NotRequired[list[str]]
    hash: NotRequired[str]


class LedgerQuery(TypedDict):
    """The request of `ledger.query`."""

    op: str
    type: NotRequired[str]
    limit: NotRequired[int]
    after: NotRequired[str | None]
    createdBefore: NotRequired[str | None]


class ExternalSend(TypedDict):
    """The request of `external-messaging.send`."""

    channel: str
    messageId: NotRequired[str | None]
    message: str


class RunSession(TypedDict):
    """The session that a responder answers."""

    id: str
    counterparty: str
    protocol: str
    version: int


class Start(TypedDict):
    """The argument of `run`."""

    flowId: str
    flowClass: str
    me: str
    requestBody: Json
    session: RunSession | None


class Frame(TypedDict):
    """A place in the CorDapp's files, and how often more a recursion stands there."""

    file: str
    line: int
    function: str
    repeated: NotRequired[int]


class Cause(TypedDict):
    """What a failure came from; `of` is the number of the exception to which it belongs."""

    link: Literal["cause", "context", "member"]
    of: NotRequired[int]
    type: str
    message: str
    notes: NotRequired[list[str]]
    trace: NotRequired[list[Frame]]


class Failure(TypedDict):
    """One refusal of `verify`."""

    contract: str
    states: list[str]
    type: str
    message: str
    code: NotRequired[str]
    notes: NotRequired[list[str]]
    trace: NotRequired[list[Frame]]
    causes: NotRequired[list[Cause]]


class FlowFailure(TypedDict):
    """The err of `run`; `class` is the exception's class, where `type` is its code."""

    type: str
    message: str
    code: NotRequired[str | None]
    notes: NotRequired[list[str]]
    trace: NotRequired[list[Frame]]
    causes: NotRequired[list[Cause]]

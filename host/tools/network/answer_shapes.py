"""Shapes of the answers that setting up a network reads; others are refused where they arrive."""

from typing import Any, NotRequired, TypedDict


class Uploaded(TypedDict):
    id: str


class Role(TypedDict):
    id: str
    roleName: str


class Requested(TypedDict):
    requestId: str


class OperationStatus(TypedDict):
    status: str
    cpiFileChecksum: NotRequired[str | None]
    resourceId: NotRequired[str | None]
    errorReason: NotRequired[str | None]
    reason: NotRequired[str | None]


class Upgrade(TypedDict):
    requestId: str
    status: str
    processingStage: NotRequired[str | None]
    errorReason: NotRequired[str | None]
    report: NotRequired[dict[str, Any] | None]


class Holding(TypedDict):
    shortHash: str
    x500Name: str
    groupId: str


class CpiId(TypedDict):
    cpiName: str
    cpiVersion: str
    signerSummaryHash: str | None


class Node(TypedDict):
    holdingIdentity: Holding
    cpiIdentifier: CpiId


class NodeState(TypedDict):
    holdingIdentity: Holding
    cpiIdentifier: CpiId
    flowStartOperationalStatus: str
    flowOperationalStatus: str
    flowP2pOperationalStatus: str
    vaultDbOperationalStatus: str
    state: str


class ChangedState(TypedDict):
    holdingIdShortHash: str
    newState: str


class Cpi(TypedDict):
    id: CpiId
    cpiFileChecksum: str
    cpiFileFullChecksum: str
    groupPolicy: NotRequired[str | None]


class Progress(TypedDict):
    registrationId: str
    registrationStatus: str
    reason: NotRequired[str | None]


class SchemaVersion(TypedDict):
    major: int
    minor: int


class Config(TypedDict):
    version: int
    sourceConfig: str
    configWithDefaults: str
    schemaVersion: SchemaVersion


class ChangedConfig(TypedDict):
    section: str
    version: int


class Rule(TypedDict):
    ruleRegex: str


class Member(TypedDict):
    memberContext: dict[str, str | None]
    mgmContext: dict[str, str | None]


class GroupParameters(TypedDict):
    parameters: dict[str, str]


class PeerSessions(TypedDict):
    outbound: int
    inbound: int


class NetworkPeer(TypedDict):
    x500Name: str
    route: str
    reason: str | None
    sessions: PeerSessions
    queued: int
    queuedBytes: int
    lastError: str | None


class Pong(TypedDict):
    milliseconds: int
    listVersion: int
    softwareVersion: str


class TransferKey(TypedDict):
    recipient: str


class ImportedSize(TypedDict):
    size: int


class TransferStatus(TypedDict):
    requestId: str
    kind: str
    holdingIdentityShortHash: str | None
    status: str
    stage: str
    bytesDone: int
    bytesTotal: int
    errorReason: str | None
    recipient: str | None


class NodeExport(TypedDict):
    requestId: str
    holdingIdentityShortHash: str


class GroupExport(TypedDict):
    exportId: str
    exports: list[NodeExport]


class GroupLocation(TypedDict):
    groupId: str
    exportId: str | None
    recipient: str
    nodes: list["NodeLocation"]


class NodeLocation(TypedDict):
    holdingIdentityShortHash: str
    place: str
    requestId: str | None
    epoch: int
    listedEpoch: int | None
    proof: str | None
    errorReason: str | None

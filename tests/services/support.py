"""Nodes, packages and contexts that the tests of the services share."""

import hashlib

from cpi.package.model import PackageId
from host.database.claims import Claimant
from host.domain.ids import Checksum, EpochMs, FlowId, HoldingIdentity
from host.domain.packages import (
    CodeWorld,
    CpiRecord,
    CpkRecord,
    EntityDeclaration,
)
from host.domain.x500 import MemberX500Name
from host.keys.errors import MasterKeyGoneError
from host.ports.capability import CallContext

GROUP_ID = "83d48afa-ebb3-4ae3-91c7-3615e6f86f5f"
ALICE = "O=Alice, L=London, C=GB"
BOB = "O=Bob, L=London, C=GB"
CLAIMANT = Claimant(place="rest-0", run="1")
MASTER_KEY = bytes(range(32))
FLOW_ID = FlowId("6e1ae6a4-3c1c-4f4e-9a54-0f2a0f2a0f2a")
NOW = EpochMs(1_763_700_000_000)


class CountingEntropy:
    """Random bytes that a test can foresee, never the same twice."""

    def __init__(self):
        self.count = 0

    def random_bytes(self, count):
        self.count += 1
        return hashlib.shake_256(self.count.to_bytes(8, "big")).digest(count)


class MemoryMasterKeys:
    """Master keys that are gone with the test; the first one is given."""

    def __init__(self, first=MASTER_KEY):
        self.keys = {1: first}

    def make(self, generation):
        return self.keys.setdefault(generation, hashlib.sha256(b"%d" % generation).digest())

    def get(self, generation):
        if generation not in self.keys:
            raise MasterKeyGoneError(f"master key {generation} is gone")
        return self.keys[generation]

    def destroy_before(self, generation):
        for old in [number for number in self.keys if number < generation]:
            del self.keys[old]


def holding(name, group_id=GROUP_ID):
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)


def checksum(text):
    return Checksum(f"SHA-256:{hashlib.sha256(text.encode()).hexdigest().upper()}")


def cpk(name, world, **changes):
    values = {
        "identity": PackageId(name=name, version="1.0.0", signer_summary_hash=checksum("signer")),
        "file_checksum": checksum(name),
        "world": world,
        "code_digest": checksum(f"component of {name}"),
        "flows": (),
        "contract_types": (),
        "state_types": (),
        "entities": (),
        "capabilities": (),
        "libraries": (),
        "limits": {},
    }
    return CpkRecord(**{**values, **changes})


def contract_cpk(name="iou-contract"):
    return cpk(
        name,
        CodeWorld.CONTRACT,
        contract_types=("iou.IouContract",),
        state_types=(("iou.Iou", "iou.IouContract"),),
    )


def workflow_cpk(name="iou-workflow"):
    return cpk(
        name,
        CodeWorld.WORKFLOW,
        entities=(EntityDeclaration(name="iou.Note", key=("id",), schema={}),),
        capabilities=("flow", "ledger", "persistence", "signing"),
    )


def cpi(*, cpks=None, group_policy="{}", group_id=GROUP_ID, name="iou"):
    return CpiRecord(
        identity=PackageId(name=name, version="1.0", signer_summary_hash=checksum("cpi signer")),
        file_checksum=checksum(f"cpi {name} {group_id}"),
        group_id=group_id,
        group_policy=group_policy,
        cpks=(contract_cpk(), workflow_cpk()) if cpks is None else tuple(cpks),
        stored_at=NOW,
    )


def context(name=ALICE, call=0, *, cpi_record=None, now=NOW, flow_id=FLOW_ID):
    return CallContext(
        holding=holding(name),
        cpi=cpi() if cpi_record is None else cpi_record,
        flow_id=flow_id,
        request_id=f"{flow_id}-{call}",
        now=now,
    )

"""Two nodes with keys and vaults, and a contract, for the ledger's tests."""

from host.domain.group_parameters import SignedGroupParameters, group_parameters_json
from host.domain.json import canonical_json
from host.domain.membership import GroupParameters, NotaryInfo
from host.domain.packages import CpkOfCpi
from host.domain.x500 import MemberX500Name
from host.guests.contracts import transaction_text
from host.keys import SchemePublicKeys
from host.ledger.capability import LedgerCapability
from host.ledger.core.signed import read_signed
from host.ledger.signing import sign
from host.network.membership.errors import GroupParametersUnknownError
from host.ports.directory import Judged
from host.ports.keys import KeyCategory
from sandbox.limits import Limits, Usage
from sandbox.receipts import RunFacts, returned
from sandbox.runnable import RunRequest
from tests.services.support import ALICE, BOB, GROUP_ID, NOW, context, contract_cpk, cpi, holding

IOU, CONTRACT = "iou.Iou", "iou.IouContract"
EC = "CORDA.ECDSA.SECP256R1"
NOTARY_NAME = "O=Notary, L=London, C=GB"
ALL_NODES = (ALICE, BOB)


class Group:
    """The `Members` port of a group whose notaries the test decides about."""

    def __init__(self):
        self.notaries = ()
        self.versions = {}
        self._change()

    def add_notary(self, key, name=NOTARY_NAME, *, backchain_required=True):
        info = NotaryInfo(
            name=MemberX500Name.parse(name),
            protocol="com.r3.corda.notary.plugin.nonvalidating",
            protocol_versions=(1,),
            public_key=key,
            backchain_required=backchain_required,
        )
        self.notaries = (*self.notaries, info)
        self._change()

    def parameters(self, viewer, hash=None):  # noqa: A002  # as the port
        found = self.versions.get(hash or self.current)
        if found is None:
            raise GroupParametersUnknownError(f"no parameters {hash}")
        return found

    def _change(self):
        """A new version; those before are kept."""
        parameters = GroupParameters(
            group_id=GROUP_ID,
            epoch=len(self.versions) + 1,
            modified_at=NOW,
            minimum_platform_version=50000,
            notaries=self.notaries,
        )
        signed = SignedGroupParameters(
            content=canonical_json(group_parameters_json(parameters)),
            signature=b"",
            signer_key="",
            spec="",
            at=NOW,
        )
        self.current = signed.hash
        self.versions[signed.hash] = signed

    def lookup(self, viewer, name):
        return None

    def lookup_key(self, viewer, ledger_key):
        return None

    def active(self, viewer):
        return []


class StoredCpks:
    """The `Cpks` port over the CPIs that a test has stored."""

    def __init__(self):
        self.cpis = []

    def find_cpk(self, checksum):
        found = (
            CpkOfCpi(cpi=cpi, cpk=cpk)
            for cpi in self.cpis
            for cpk in cpi.cpks
            if cpk.file_checksum == checksum
        )
        return next(found, None)


class PositiveAmounts:
    """The `ContractVerifier` port over one rule: amounts are positive."""

    def __init__(self):
        self.seen = []
        self.ran = []

    def verify(self, cpks, transaction, *, node=None):
        self.seen.append(transaction)
        self.ran.append([each.cpk.file_checksum for each in cpks])
        failures = [
            {
                "contract": CONTRACT,
                "states": [IOU],
                "type": "ValueError",
                "message": "amount must be positive",
            }
            for state in transaction["outputs"]
            if state["value"]["amount"] <= 0
        ]
        receipts = [(each.cpk.file_checksum, receipt(each.cpk, transaction)) for each in cpks]
        return Judged(failures=tuple(failures), receipts=tuple(receipts))


def receipt(cpk, transaction, *, fuel=1000):
    """The receipt of a run that accepts, as sandboxes write it."""
    request = RunRequest(export="verify", argument=transaction_text(transaction), limits=Limits())
    facts = RunFacts(world="contract", component=cpk.code_digest, runtime=None, request=request)
    return returned(facts, Usage(fuel=fuel), None, is_error=False).receipt


class ScriptedFunctions:
    """The `VaultFunctions` port: `answer` is asked for what the functions say of an output."""

    def __init__(self):
        self.asked = []
        self.answer = None

    def record(self, record, request, *, node):
        self.asked.append((node, request))
        return [
            {"index": index, **self.answer(request["transaction"]["outputs"][index], node)}
            for index in request["outputs"]
        ]


class Net:
    """Alice's and Bob's ledgers; each has one key, by every name in `keys`."""

    def __init__(self, vaults, store):
        self.vaults = vaults
        self.store = store
        self.group = Group()
        self.contracts = PositiveAmounts()
        self.functions = ScriptedFunctions()
        self.stored = StoredCpks()
        self.cpi = cpi()
        self.keys = {}
        for name in ALL_NODES:
            self.keys[name] = self.new_key(name, "ledger")
        self.capability = LedgerCapability(
            vaults=vaults,
            keys=store,
            public_keys=SchemePublicKeys(),
            members=self.group,
            cpks=self.stored,
            contracts=self.contracts,
            vault_functions=self.functions,
        )
        self.count = 0

    def new_key(self, name, alias):
        tenant = holding(name).short_hash
        return self.store.create(tenant, KeyCategory.LEDGER, alias, EC).public_key

    def call(self, name, function, request, *, number=None, record=None):
        self.count += 1
        call = context(
            name,
            self.count if number is None else number,
            cpi_record=self.cpi if record is None else record,
        )
        return self.capability.call(call, function, request)

    def output(self, amount=5, participants=ALL_NODES, **changes):
        keys = [self.keys.get(name, name) for name in participants]
        return {
            "type": IOU,
            "contract": CONTRACT,
            "value": {"amount": amount},
            "participants": keys,
            "encumbrance": None,
            **changes,
        }

    def builder(self, *outputs, inputs=(), signatories=(ALICE,), **changes):
        return {
            "notary": None,
            "timeWindow": None,
            "inputs": list(inputs),
            "references": [],
            "outputs": list(outputs),
            "commands": [{"type": "iou.Issue", "value": {}}],
            "signatories": [self.keys.get(name, name) for name in signatories],
            **changes,
        }

    def notarised(self, signed, key, *, holder=BOB):
        """`signed` with the signature of its notary, whose key `holder` has."""
        given = read_signed(signed)
        made = sign(self.store, SchemePublicKeys(), context(holder), given.id, [key])
        return {**signed, "signatures": signed["signatures"] + [each.to_json() for each in made]}

    def issue(self, *amounts, at=ALL_NODES):
        """Alice issues states and the nodes of `at` record them; gives the references."""
        signed = self.call(ALICE, "build", self.builder(*map(self.output, amounts)))
        for name in at:
            self.call(name, "record", {"transaction": signed})
        return [f"{signed['id']}:{index}" for index in range(len(amounts))]

    def unconsumed(self, name, after=None, limit=100):
        request = {"op": "unconsumed", "type": IOU, "limit": limit}
        return self.call(name, "query", {**request, "after": after, "createdBefore": None})


def other_contract_cpk():
    return contract_cpk("other-contract")

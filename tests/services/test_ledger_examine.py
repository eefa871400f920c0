"""How transactions are judged: by what, for what, and what stays of a verdict."""

import base64
from dataclasses import replace

import msgspec
import pytest

from host.domain.capability_error import CapabilityError
from host.domain.errors import NotFoundError
from host.domain.packages import contracts_of
from host.domain.platform import PLATFORM_VERSION
from host.ledger.core.batch import batch_proofs, batch_root, signable_batch
from host.ledger.core.components import from_groups, to_groups
from host.ledger.core.digests import (
    other_outcomes,
    other_runs,
    read_verification,
    verification_of,
)
from host.ledger.core.metadata import make_metadata
from host.ledger.core.model import State
from host.ledger.core.signed import Signature, privacy_salt, read_signed, unsigned
from host.ledger.core.statuses import Reason, Status
from host.ledger.examine import Purpose, reason_of
from host.ledger.signing import sign
from host.ledger.vault import transactions, verifications
from host.ledger.vault.transactions import Origin
from host.ledger.verdicts import Verdicts
from host.ports.directory import UNDECIDED, Judged
from host.runtime.wiring.services import CONTRACTS, RemoteContracts, ServedContracts
from sandbox.engine import profile_digest
from tests.services.ledger_support import NOTARY_NAME, receipt
from tests.services.support import ALICE, BOB, NOW, checksum, context, contract_cpk, cpi, holding

NEW, RECEIVED, CHAIN, NOTARISE = Purpose
WINDOW = {"from": None, "until": "2036-11-21T06:00:00.000000Z"}


def version_of(name="iou-contract", *, version="0.9.0", signers="signer"):
    made = contract_cpk(name)
    identity = replace(made.identity, version=version, signer_summary_hash=checksum(signers))
    return replace(
        made,
        identity=identity,
        file_checksum=checksum(f"{name} {version} {signers}"),
        code_digest=checksum(f"code of {name} {version} {signers}"),
    )


def code(version, name="old"):
    return cpi(cpks=(version, *cpi().cpks[1:]), name=name)


def examine(net, signed, purpose=RECEIVED, *, name=BOB, record=None, states=None):
    if isinstance(signed, dict):
        signed = read_signed(signed)
    return net.capability._examiner.examine(
        holding(name), record or net.cpi, signed, purpose=purpose, states=states
    )


def refused(code, net, signed, *args, **options):
    with pytest.raises(CapabilityError) as error:
        examine(net, signed, *args, **options)
    assert error.value.code == code, error.value.message
    return error.value


@pytest.fixture
def notary(net):
    key = net.new_key(BOB, "notary")
    net.group.add_notary(key)
    return key


def with_notary(net, *outputs, **changes):
    options = {"notary": NOTARY_NAME, "timeWindow": WINDOW, **changes}
    return net.call(ALICE, "build", net.builder(*(outputs or [net.output(5)]), **options))


def test_a_right_transaction_is_right_for_every_purpose_that_it_is_complete_for(net, notary):
    signed = with_notary(net)
    for purpose in (NEW, RECEIVED, NOTARISE):
        examined = examine(net, signed, purpose)
        assert examined.resolved.to_json() == net.contracts.seen[-1]
        assert [each.cpk for each in examined.verifications] == [net.cpi.cpks[0].file_checksum]
    refused("notary-required", net, signed, CHAIN)
    assert examine(net, net.notarised(signed, notary), CHAIN).parameters.epoch == 2


def test_a_chain_and_a_notary_need_every_signatory(net, notary):
    signed = with_notary(net, signatories=(ALICE, BOB))
    for purpose in (CHAIN, NOTARISE):
        assert reason_of(refused("signature-missing", net, signed, purpose)) is None
    examine(net, signed, NEW)
    refused("signature-missing", net, {**signed, "signatures": []}, NEW)


def test_a_forged_signature_of_the_notary_is_told_and_spoils_nothing(net, notary):
    signed = net.notarised(with_notary(net), notary)
    own, of_notary = signed["signatures"]
    raw = bytearray(base64.b64decode(of_notary["signature"]))
    raw[-1] ^= 1
    forged = {**of_notary, "signature": base64.b64encode(bytes(raw)).decode()}
    error = refused("signature-invalid", net, {**signed, "signatures": [own, forged]}, CHAIN)
    assert reason_of(error) is None


def test_a_new_transaction_names_the_current_parameters_others_those_of_their_time(net, notary):
    signed = with_notary(net)
    net.group.add_notary(net.new_key(BOB, "another"), name="O=Another, L=London, C=GB")
    error = refused("group-parameters-not-current", net, signed, NEW)
    assert net.group.current in error.message
    assert reason_of(error) is None
    examine(net, signed, RECEIVED)
    examine(net, net.notarised(signed, notary), CHAIN)


def test_parameters_that_are_not_stored_leave_it_undecided(net, notary):
    signed = with_notary(net)
    net.group.versions.clear()
    for purpose in Purpose:
        with pytest.raises(NotFoundError) as error:
            examine(net, signed, purpose)
        assert error.value.code == "group-parameters-unknown"


def test_along_a_chain_parameters_never_get_older(net, notary):
    made = net.notarised(with_notary(net), notary)
    old = net.group.current
    net.group.add_notary(net.new_key(BOB, "another"), name="O=Another, L=London, C=GB")
    later = net.notarised(with_notary(net, net.output(6)), notary)
    for each in (made, later):
        net.call(ALICE, "record", {"transaction": each})
        net.call(BOB, "record", {"transaction": each})
    inputs = [f"{made['id']}:0", f"{later['id']}:0"]
    for chosen, expected in ((inputs[:1], None), (inputs, "parameters-older-than-state")):
        net.group.current, newest = old, net.group.current
        spend = net.notarised(with_notary(net, net.output(1), inputs=chosen), notary)
        net.group.current = newest
        if expected is None:
            examine(net, spend, CHAIN)
        else:
            error = refused("transaction-invalid", net, spend, CHAIN)
            assert error.rule == expected
            assert reason_of(error) is Reason.STRUCTURE


def test_old_versions_of_own_contracts_judge_chains_and_nothing_new(net):
    old, own = version_of(), net.cpi
    net.cpi = code(old)
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    net.cpi = own
    ran = len(net.contracts.ran)
    for purpose in Purpose:
        assert old.file_checksum in refused("cpk-unknown", net, signed, purpose).message
    net.stored.cpis.append(code(old))
    for purpose in (NEW, RECEIVED, NOTARISE):
        assert reason_of(refused("cpk-unknown", net, signed, purpose)) is None
    assert net.contracts.ran[ran:] == []
    (verification,) = examine(net, signed, CHAIN).verifications
    assert net.contracts.ran[ran:] == [[old.file_checksum]]
    assert (verification.cpk, verification.code) == (old.file_checksum, old.code_digest)


@pytest.mark.parametrize(
    "foreign",
    [version_of(signers="others"), version_of("other-contract", signers="others"),
     version_of("other-contract")],
    ids=["same-name", "same-classes", "same-signers"],
)  # fmt: skip
def test_code_of_others_is_never_run_whatever_classes_it_has(net, foreign):
    """A permissive contract of the same class names could else be uploaded by another tenant."""
    own = net.cpi
    net.cpi = code(foreign, "of others")
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    net.cpi = own
    net.stored.cpis.append(code(foreign, "of others"))
    ran = len(net.contracts.ran)
    for purpose in Purpose:
        assert reason_of(refused("cpk-unknown", net, signed, purpose)) is None
    for function, extra in (("verify", {"sign": True}), ("record", {})):
        with pytest.raises(CapabilityError) as error:
            net.call(BOB, function, {"transaction": signed, **extra})
        assert error.value.code == "cpk-unknown"
    assert net.contracts.ran[ran:] == []


def remade(net, signed, **changes):
    """`signed` with other content under its right identifier, signed again by Alice."""
    content = replace(from_groups(read_signed(signed).groups), **changes)
    made = unsigned(privacy_salt("remade"), to_groups(content))
    keys = net.capability._public_keys
    return made.signed_by(sign(net.store, keys, context(ALICE), made.id, [net.keys[ALICE]]))


def test_a_checksum_is_believed_with_its_own_name_only_and_of_contract_code(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    metadata = make_metadata(net.cpi, net.group.current)
    (named,) = metadata["cpkMetadata"]
    workflow = net.cpi.cpks[1]
    identity = workflow.identity
    others = [
        {**named, "version": "9"},
        {**named, "name": "other"},
        {**named, "signerSummaryHash": checksum("x")},
        {
            "name": identity.name,
            "version": identity.version,
            "signerSummaryHash": identity.signer_summary_hash,
            "fileChecksum": workflow.file_checksum,
        },
    ]
    net.stored.cpis.append(net.cpi)
    for other in others:
        changed = remade(net, signed, metadata={**metadata, "cpkMetadata": [other]})
        for purpose in Purpose:
            refused("cpk-unknown", net, changed, purpose)
    twice = remade(net, signed, metadata={**metadata, "cpkMetadata": [named, named]})
    assert refused("transaction-invalid", net, twice).rule == "metadata-invalid"


def test_of_what_the_identifier_commits_to_the_verdict_is_for_ever(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    content = from_groups(read_signed(signed).groups)
    moved = State(type="iou.Iou", contract="other.C", value={"amount": 1}, participants=())
    wrong = [
        ({"commands": ()}, "commands-missing"),
        ({"outputs": (moved,)}, "state-type-undeclared"),
        ({"signatories": (*content.signatories, "no key")}, "key-malformed"),
        ({"metadata": {**content.metadata, "ledgerVersion": 2}}, "metadata-invalid"),
    ]
    for changes, rule in wrong:
        error = refused("transaction-invalid", net, remade(net, signed, **changes))
        assert (error.rule, reason_of(error)) == (rule, Reason.STRUCTURE)
    newer = {**content.metadata, "platformVersion": PLATFORM_VERSION + 1}
    error = refused("transaction-invalid", net, remade(net, signed, metadata=newer))
    assert reason_of(error) is None
    refusing = replace(content.outputs[0], value={"amount": -1})
    error = refused("contract-verification-failed", net, remade(net, signed, outputs=(refusing,)))
    assert reason_of(error) is Reason.CONTRACT


def test_a_limit_or_a_missing_state_is_no_verdict(net):
    (ref,) = net.issue(5, at=(ALICE,))
    spend = net.call(ALICE, "build", net.builder(net.output(1), inputs=[ref]))
    assert reason_of(refused("state-not-found", net, spend)) is None
    signed = net.call(ALICE, "build", net.builder(net.output(6)))
    ended = {"type": "out-of-fuel", "message": "ended", UNDECIDED: True}
    verify = net.contracts.verify
    net.contracts.verify = lambda *_, **_node: Judged(failures=(ended,))
    assert reason_of(refused("contract-undecided", net, signed)) is None
    net.contracts.verify = verify
    examine(net, signed)


def test_a_notary_judges_by_the_states_that_it_was_shown(net, notary):
    made = with_notary(net)
    net.call(ALICE, "record", {"transaction": net.notarised(made, notary)})
    spend = with_notary(net, net.output(1), inputs=[f"{made['id']}:0"])
    refused("state-not-found", net, spend, NOTARISE)
    states = examine(net, spend, RECEIVED, name=ALICE).resolved.inputs
    examined = examine(net, spend, NOTARISE, states=(states, ()))
    assert examined.resolved.inputs == states
    other = replace(states[0], state=replace(states[0].state, notary=None))
    error = refused("transaction-invalid", net, spend, NOTARISE, states=((other,), ()))
    assert error.rule == "input-notary-mismatch"


def test_with_a_notary_a_consumed_input_is_left_to_it(net, notary):
    made = net.notarised(with_notary(net), notary)
    first = net.notarised(with_notary_later(net, made, 1), notary)
    for each in (made, first):
        net.call(ALICE, "record", {"transaction": each})
    second = with_notary(net, net.output(2), inputs=[f"{made['id']}:0"])
    examine(net, second, NEW, name=ALICE)
    with pytest.raises(CapabilityError) as error:
        net.call(ALICE, "record", {"transaction": net.notarised(second, notary)})
    assert error.value.code == "state-consumed"


def with_notary_later(net, made, amount):
    net.call(ALICE, "record", {"transaction": made})
    return with_notary(net, net.output(amount), inputs=[f"{made['id']}:0"])


def test_a_transaction_is_judged_once_by_each_node_and_code(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    assert len(net.contracts.ran) == 1
    first = examine(net, signed, name=ALICE)
    assert len(net.contracts.ran) == 1
    assert examine(net, signed, name=BOB).verifications == first.verifications
    assert len(net.contracts.ran) == 2
    refusing = net.builder(net.output(-1))
    for _ in range(2):
        with pytest.raises(CapabilityError):
            net.call(ALICE, "build", refusing, number=9)
    assert len(net.contracts.ran) == 4


def test_only_the_latest_verdicts_are_kept():
    verdicts = Verdicts(kept_max=2)
    for number in (1, 2, 1, 3):
        if verdicts.find("A", str(number), ()) is None:
            verdicts.keep("A", str(number), (), (number,))
    assert [verdicts.find("A", str(number), ()) for number in (1, 2, 3)] == [(1,), None, (3,)]
    assert verdicts.find("B", "1", ()) is None
    assert verdicts.find("A", "1", ("other",)) is None


def test_what_was_verified_is_kept_with_the_transaction(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    net.call(BOB, "record", {"transaction": signed})
    with net.vaults.read(holding(BOB).short_hash) as connection:
        ((party, found),) = verifications.list_of(connection, signed["id"])
    (cpk,) = net.cpi.contract_cpks()
    assert (party, found.cpk, found.code) == ("", cpk.file_checksum, cpk.code_digest)
    assert (found.verdict, found.fuel, found.engine) == ("accepted", 1000, profile_digest())


def test_outcomes_are_equal_for_equal_judgements_runs_for_equal_engines():
    cpk = contract_cpk()
    seen = {"id": "x", "outputs": []}

    def of(transaction=seen, code=cpk, **options):
        return verification_of(cpk.file_checksum, receipt(code, transaction, **options))

    own = of()
    assert read_verification(own.to_json()) == own
    slower = of(fuel=1001)
    assert (slower.outcome == own.outcome, slower.run == own.run) == (True, False)
    for other in (of({**seen, "inputs": []}), of(code=replace(cpk, code_digest=checksum("y")))):
        assert other.outcome != own.outcome
        assert other_outcomes([own], [other]) == [other]
        assert other_runs([own], [other]) == []
    assert other_outcomes([own], [slower]) == []
    assert other_runs([own], [slower]) == [slower]
    assert other_runs([own], [replace(slower, engine="SHA-256:X")]) == []
    assert other_outcomes([own], [replace(own, form=2, outcome="SHA-256:Z")]) == []


@pytest.mark.parametrize("name", ["cpk", "form", "code", "outcome", "run", "engine", "fuel"])
def test_a_malformed_verification_is_refused(name):
    item = verification_of("SHA-256:A", receipt(contract_cpk(), {"id": "x"})).to_json()
    for value in (None, -1, "x" * 1000, {}):
        with pytest.raises(CapabilityError) as error:
            read_verification({**item, name: value})
        assert error.value.code == "request-invalid"
    with pytest.raises(CapabilityError):
        read_verification({**item, "more": 1})


def test_a_signature_of_a_batch_makes_a_transaction_final_as_a_single_one_does(net, notary):
    signed = with_notary(net)
    ids = [f"SHA-256D:{number:064X}" for number in range(3)] + [signed["id"]]
    keys = net.capability._public_keys
    draft = Signature(
        by=keys.key_id(notary),
        key=notary,
        signature=b"",
        timestamp="2026-11-21T06:00:00.000000Z",
        spec=keys.default_spec(notary),
        properties=(),
        proof=batch_proofs(ids)[signed["id"]],
    )
    data = signable_batch(batch_root(ids), draft.metadata())
    raw = net.store.sign(holding(BOB).short_hash, notary, data, draft.spec)
    signature = draft.with_bytes(raw).to_json()
    final = {**signed, "signatures": [*signed["signatures"], signature]}
    examine(net, final, CHAIN)
    net.call(BOB, "record", {"transaction": final})
    assert net.call(BOB, "find", {"id": signed["id"]}) == final


def test_what_is_invalid_for_ever_is_not_recorded(net):
    signed = net.call(ALICE, "build", net.builder(net.output(5)))
    given = read_signed(signed)

    def spoil(connection):
        transactions.keep(
            connection,
            given,
            status=Status.INVALID,
            reason=Reason.CONTRACT,
            origin=Origin.FINALITY,
            now=NOW,
        )

    net.vaults.transact(holding(BOB).short_hash, spoil)
    with pytest.raises(CapabilityError) as error:
        net.call(BOB, "record", {"transaction": signed})
    assert error.value.code == "transaction-is-invalid"


class Wire:
    """The calls of `RemoteContracts`, through the bytes that workers exchange."""

    def __init__(self, served):
        self.served = served

    def verify(self, *args):
        method = CONTRACTS.methods["verify"]
        answer = self.served.verify(**method.decode(method.encode(args, {})))
        return method.decode_result(msgspec.json.encode(answer))


class Packages:
    """The `Packages` port: one CPI, and what replaced it."""

    def __init__(self, *cpis):
        self.cpis = cpis

    def get(self, checksum):
        return next((each for each in self.cpis if each.file_checksum == checksum), self.cpis[-1])


def test_contracts_judge_in_another_process_by_the_same_code_also_of_replaced_packages(net):
    old, current = code(version_of()), cpi()
    net.stored.cpis.append(old)
    served = ServedContracts(net.contracts, Packages(current), net.stored)
    remote = RemoteContracts(Wire(served))
    seen = {"id": "x", "outputs": [{"value": {"amount": 1}}, {"value": {"amount": 0}}]}
    for record in (old, current):
        given = contracts_of(record)
        assert remote.verify(given, seen) == net.contracts.verify(given, seen)
        assert net.contracts.ran[-2:] == [[record.cpks[0].file_checksum]] * 2
    with pytest.raises(NotFoundError):
        remote.verify(contracts_of(code(version_of(version="0.1"))), seen)

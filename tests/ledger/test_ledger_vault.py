"""Statements on the ledger's tables: statuses, signatures, consumption, pages, filtered forms."""

import itertools
import json

import pytest
from structlog.testing import capture_logs

from host.domain.capability_error import CapabilityError
from host.domain.errors import NotFoundError
from host.ledger.core.batch import batch_proofs
from host.ledger.core.components import Group, from_groups
from host.ledger.core.digests import Verification
from host.ledger.core.facts import OutputFacts, default_facts
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.model import StateRef
from host.ledger.core.signed import Signature
from host.ledger.core.statuses import Reason, Status, may_become
from host.ledger.vault import filtered, outputs, parties, transactions, verifications
from host.ledger.vault.finish import finish
from host.ledger.vault.transactions import Origin
from tests.ledger.transactions import NOTARY, ref, transaction

NOW = 1_800_000_000_000
D, U, V, I = Status  # noqa: E741  # the statuses' letters
MOVES = [(D, None), (U, None), *((I, reason) for reason in Reason)]


def signature(key, proof=None):
    return Signature(
        by="0" * 12,
        key=key,
        signature=key.encode(),
        timestamp="2026-11-21T06:00:00.000000Z",
        spec="SHA256withECDSA",
        properties=(("platformVersion", "50200"),),
        proof=proof,
    )


def finished(connection, signed, *, now=NOW, visible=None):
    content = from_groups(signed.groups)
    facts = default_facts(content, {"a key"})
    if visible is not None:
        facts = [fact for fact in facts if fact.index in visible]
    finish(connection, signed, content, facts=facts, origin=Origin.OWN, now=now)


def kept(connection, signed, status, reason=None, **more):
    return transactions.keep(
        connection, signed, status=status, reason=reason, origin=Origin.FINALITY, now=NOW, **more
    )


def put(connection, signed, status, reason):
    """Bring a transaction that is not in the vault to a status."""
    if status is V:
        finished(connection, signed)
    elif status is not None:
        kept(connection, signed, status, reason)


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.product([(None, None), (V, None), *MOVES], MOVES)), ids=str
)
def test_a_status_follows_the_table_or_stays(vault, before, after):
    signed = transaction()

    def work(connection):
        put(connection, signed, *before)
        answer = kept(connection, signed, *after)
        found = transactions.state_of(connection, signed.id)
        assert found == (
            after if may_become(*before, after[0]) and before[0] != after[0] else before
        )
        assert answer is found[0]

    vault.transact(work)


@pytest.mark.parametrize("before", [(None, None), (V, None), *MOVES], ids=str)
def test_a_transaction_becomes_verified_unless_its_content_is_wrong(vault, before):
    signed = transaction().signed_by([signature("key 0"), signature(NOTARY.key)])

    def work(connection):
        put(connection, transaction(), *before)
        if before[1] in (Reason.STRUCTURE, Reason.CONTRACT):
            with pytest.raises(CapabilityError) as refused:
                finished(connection, signed)
            assert refused.value.code == "transaction-is-invalid"
            assert transactions.state_of(connection, signed.id) == before
            assert transactions.find(connection, signed.id) is None
            return
        finished(connection, signed, now=NOW + 5)
        finished(connection, signed, now=NOW + 9)
        stored = transactions.find_stored(connection, signed.id)
        assert (stored.status, stored.reason, stored.examined) == (V, None, True)
        assert stored.recorded_at == (NOW if before[0] is V else NOW + 5)
        assert stored.signed == signed
        assert outputs.visible(connection, signed.id) == [0]

    vault.transact(work)


def test_verified_is_stored_by_finish_only_and_invalid_needs_a_reason(vault):
    for status, reason in [(V, None), (I, None), (U, Reason.CONTRACT)]:
        with pytest.raises(ValueError, match="cannot store status"):
            vault.transact(lambda c, s=status, r=reason: kept(c, transaction(), s, r))


def test_find_gives_what_has_the_statuses_that_are_asked_for(vault):
    signed = transaction()
    vault.transact(lambda connection: kept(connection, signed, D))
    with vault.read() as connection:
        assert transactions.find(connection, signed.id) is None
        assert transactions.find(connection, signed.id, {D, U}) == signed
        other = ref(7).transaction_id
        assert transactions.statuses(connection, [other, signed.id]) == [None, D]
        assert transactions.find_stored(connection, other) is None


def test_signatures_are_added_by_key_in_their_order_and_never_replaced(vault):
    proof = batch_proofs([ref(1).transaction_id, transaction().id])[transaction().id]
    first, second = signature("key 1"), signature(NOTARY.key, proof)
    forged = Signature(**{**{n: getattr(first, n) for n in first.__slots__}, "signature": b"other"})
    signed = transaction().signed_by([first])

    def work(connection):
        kept(connection, signed, U)
        kept(connection, transaction().signed_by([forged, second]), U)
        transactions.add_signatures(connection, signed.id, [second, signature("key 0")], now=NOW)
        found = transactions.find(connection, signed.id, {U}).signatures
        assert found == (first, second, signature("key 0"))
        kinds = connection.exec_driver_sql(
            "SELECT kind FROM ledger_signature ORDER BY position"
        ).scalars()
        assert list(kinds) == ["s", "n", "s"]
        with pytest.raises(NotFoundError):
            transactions.add_signatures(connection, ref(9).transaction_id, [first], now=NOW)

    vault.transact(work)


def test_two_verified_transactions_never_consume_one_state_and_the_second_is_an_alarm(vault):
    made = transaction(outputs=2)
    first = transaction(inputs=[StateRef(made.id, 1)], outputs=1)
    second = transaction(inputs=[StateRef(made.id, 1)], outputs=3)

    def before(connection):
        finished(connection, made)
        finished(connection, first)
        kept(connection, second, U)

    vault.transact(before)
    with capture_logs() as logs, pytest.raises(CapabilityError) as refused:
        vault.transact(lambda connection: finished(connection, second))
    assert refused.value.code == "state-consumed"
    assert first.id in refused.value.message
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("ledger-notarised-twice", "error")
    ]
    with vault.read() as connection:
        assert transactions.statuses(connection, [first.id, second.id]) == [V, U]
        assert outputs.consumers(connection, [StateRef(made.id, 0), StateRef(made.id, 1)]) == {
            StateRef(made.id, 1): first.id
        }


def test_without_a_notary_the_second_spender_is_refused_without_alarm(vault):
    made = transaction(notary=None, window=None)
    spends = [
        transaction(inputs=[StateRef(made.id, 0)], outputs=n, notary=None, window=None)
        for n in (1, 2)
    ]
    reads = transaction(references=[StateRef(made.id, 0)], notary=None, window=None)
    vault.transact(lambda c: [finished(c, each) for each in (made, spends[0])])
    for late in (spends[1], reads):
        with capture_logs() as logs, pytest.raises(CapabilityError) as refused:
            vault.transact(lambda connection, signed=late: finished(connection, signed))
        assert (refused.value.code, logs) == ("state-consumed", [])


def test_an_output_that_is_spent_before_its_transaction_is_known_is_consumed(vault):
    """A spender that the node takes part in may be final before its own chain is stored."""
    made = transaction(outputs=2)
    spender = transaction(inputs=[StateRef(made.id, 1)])
    vault.transact(lambda connection: finished(connection, spender))
    vault.transact(lambda connection: finished(connection, made))
    with vault.read() as connection:
        page = outputs.unconsumed(connection, "iou.Iou", limit=10)
        found = [str(each.ref) for each in page.states]
    assert found == [f"{spender.id}:0", f"{made.id}:0"]


def test_unconsumed_states_are_paged_by_their_place_however_many_are_consumed(vault):
    made = [transaction(outputs=3, commands=n) for n in (1, 2, 3)]
    spender = transaction(inputs=[StateRef(made[0].id, 2)], outputs=0, commands=4)

    def work(connection):
        for number, each in enumerate(made):
            finished(connection, each, now=NOW + number, visible={0, 2})

    vault.transact(work)
    expected = [f"{each.id}:{index}" for each in made for index in (0, 2)]
    after, found = 0, []
    for _ in range(4):
        with vault.read() as connection:
            page = outputs.unconsumed(connection, "iou.Iou", limit=2, after=after)
        found += [str(each.ref) for each in page.states]
        assert page.more is (len(found) < 6)
        if not page.more:
            break
        after = page.last
        if len(found) == 2:
            vault.transact(lambda connection: finished(connection, spender))
    assert found == expected
    with vault.read() as connection:
        early = outputs.unconsumed(connection, "iou.Iou", limit=10, before=NOW + 1)
        assert [str(each.ref) for each in early.states] == expected[:1]
        ((_, first, _),) = outputs.each_state(connection, [1])
        assert (str(first.ref), first.state.value) == (expected[0], {"amount": 0})


def test_a_representation_is_kept_beside_the_state(vault):
    signed = transaction()
    content = from_groups(signed.groups)
    facts = [OutputFacts(index=0, representation='{"seen":true}')]
    vault.transact(
        lambda c: finish(c, signed, content, facts=facts, origin=Origin.TRANSFER, now=NOW)
    )
    with vault.read() as connection:
        row = connection.exec_driver_sql("SELECT type, representation FROM ledger_output").one()
        assert tuple(row) == ("iou.Iou", '{"seen":true}')
        assert outputs.find(connection, [StateRef(signed.id, 0)])[0].state == content.outputs[0]


def test_states_of_filtered_transactions_are_found_until_the_whole_one_is_there(vault):
    signed = transaction(outputs=3)
    keep = {Group.NOTARY: (0, 1, 2), Group.OUTPUTS_INFO: (0, 2), Group.OUTPUTS: (0, 2)}
    shown = filter_transaction(signed, keep)
    notarised = (signature(NOTARY.key),)

    def work(connection):
        filtered.keep(connection, shown, notarised, now=NOW)
        filtered.keep(connection, shown, (), now=NOW)
        (found,) = filtered.find(connection, signed.id)
        assert (found.filtered, found.signatures) == (shown, notarised)
        states = outputs.find(connection, [StateRef(signed.id, 2)])
        assert states[0].state.value == {"amount": 2}
        with pytest.raises(CapabilityError) as refused:
            outputs.find(connection, [StateRef(signed.id, 1)])
        assert refused.value.code == "state-not-found"
        kept(connection, signed, U)
        assert outputs.find(connection, [StateRef(signed.id, 0)])[0].state.value == {"amount": 0}
        finished(connection, signed)
        assert outputs.find(connection, [StateRef(signed.id, 1)])[0].state.value == {"amount": 1}

    vault.transact(work)


def test_outputs_of_unverified_transactions_are_no_states(vault):
    signed = transaction()
    vault.transact(lambda connection: kept(connection, signed, U))
    with vault.read() as connection, pytest.raises(CapabilityError) as refused:
        outputs.find(connection, [StateRef(signed.id, 0)])
    assert refused.value.code == "state-not-found"


def test_parties_and_verifications_belong_to_a_transaction_and_stay_as_first_stored(vault):
    signed = transaction()
    seen = Verification(
        cpk="SHA-256:AA",
        form=1,
        code="SHA-256:C0DE",
        outcome="SHA-256:1",
        run="SHA-256:2",
        engine="SHA-256:3",
        fuel=7,
        verdict="accepted",
    )
    later = Verification(**{**seen.to_json(), "outcome": "SHA-256:9"})

    def work(connection):
        with pytest.raises(NotFoundError):
            parties.keep(connection, signed.id, ["O=Bob"])
        kept(connection, signed, U)
        for _ in range(2):
            parties.keep(connection, signed.id, ["O=Carol", "O=Bob"])
        verifications.keep(connection, signed.id, "O=Bob", [later], now=NOW)
        verifications.keep(connection, signed.id, "", [seen], now=NOW)
        verifications.keep(connection, signed.id, "", [later], now=NOW)
        assert parties.names(connection, signed.id) == ["O=Bob", "O=Carol"]
        assert parties.has(connection, signed.id, "O=Bob")
        assert not parties.has(connection, signed.id, "O=Dan")
        assert not parties.has(connection, ref(3).transaction_id, "O=Bob")
        assert verifications.list_of(connection, signed.id) == [("", seen), ("O=Bob", later)]

    vault.transact(work)


def test_lists_have_the_statuses_that_are_asked_for(vault):
    made = [transaction(outputs=n) for n in (1, 2, 3)]

    def work(connection):
        kept(connection, made[0], U)
        finished(connection, made[1])
        kept(connection, made[2], I, Reason.NOTARY)

    vault.transact(work)
    with vault.read() as connection:

        def listed(statuses, **more):
            options = {"limit": 10, "beyond": None, "newest_first": False, **more}
            return [s for s, _ in transactions.list_page(connection, statuses=statuses, **options)]

        assert listed({V}) == [2]
        assert listed(set(Status), newest_first=True) == [3, 2, 1]
        assert listed({U, I}, beyond=1) == [3]
        assert json.loads(made[0].groups[Group.METADATA][0])["schemaVersion"] == 1

"""Names of pairs, and messages that wait for a link."""

import pytest

from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.core import messages
from host.flow.core.errors import FlowRecordDamagedError
from host.network.values import p2p_out
from host.network.values.p2p_out import Filter, P2pOut, Subsystem
from host.network.values.pair import pair_of

GROUP = "11111111-2222-3333-4444-555555555555"
ALICE = HoldingIdentity(x500_name=MemberX500Name.parse("O=Alice,L=London,C=GB"), group_id=GROUP)
BOB = HoldingIdentity(x500_name=MemberX500Name.parse("O=Bob,L=Paris,C=FR"), group_id=GROUP)
BOB_ELSEWHERE = HoldingIdentity(x500_name=BOB.x500_name, group_id="another")


def test_a_pair_is_ordered_and_depends_on_names_and_group() -> None:
    pairs = {
        pair_of(ALICE, BOB),
        pair_of(BOB, ALICE),
        pair_of(ALICE, BOB_ELSEWHERE),
        pair_of(ALICE, ALICE),
    }

    assert len(pairs) == 4
    assert all(len(pair) == 32 and pair == pair.lower() for pair in pairs)
    assert pair_of(ALICE, BOB) == "d29c8597679606d3282ab61c41b95756"


def test_a_session_message_of_a_flow_waits_as_the_flow_engine_wrote_it() -> None:
    sent = messages.SessionMessage(
        session_id="s-INITIATED",
        sequence=3,
        source=messages.Party.of(ALICE),
        target=messages.Party.of(BOB),
        payload=messages.Close(),
    )

    read = p2p_out.read(messages.encode(sent))

    assert (read.source_holding(), read.target_holding()) == (ALICE, BOB)
    assert read.subsystem is Subsystem.FLOW
    assert read.filter is Filter.ACTIVE
    assert read.message_id == "s-INITIATED/3"
    assert read.ttl_ms == 300_000
    assert messages.decode_message(read.payload) == sent


def test_a_message_of_membership_is_read_as_it_was_written() -> None:
    sent = P2pOut(
        group_id=GROUP,
        source=str(ALICE.x500_name),
        target=str(BOB.x500_name),
        subsystem=Subsystem.MEMBERSHIP,
        filter=Filter.ACTIVE_OR_SUSPENDED,
        ttl_ms=1000,
        message_id="1",
        payload=b"\x00\xff",
        sealed_for_mgm=True,
    )

    assert p2p_out.read(p2p_out.encode(sent)) == sent


@pytest.mark.parametrize("value", [b"", b"{}", b'{"type":"p2p-out"}', b"\xff"])
def test_a_damaged_record_is_refused(value: bytes) -> None:
    with pytest.raises(FlowRecordDamagedError):
        p2p_out.read(value)

"""What the relay of a store has sent is not sent again from the store that it was imported into."""

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.records.node_flows import NodeFlows
from host.runtime.wiring.importing_logs import copy_logs
from tests.contract.conftest import MovableClock, opened
from tests.relay.test_relay import Stage

HOLDING = HoldingIdentity(
    x500_name=MemberX500Name.parse("O=Alice, L=London, C=GB"), group_id="2f4a0f3c-group"
)
ALICE = HOLDING.short_hash
EXTERNAL = f"ext.{ALICE}.orders.receive"
LETTERS = "flow.event.dlq"


@pytest.mark.parametrize("has_relay", [True, False])
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_each_record_is_sent_by_the_one_store_or_by_the_other(
    request: pytest.FixtureRequest, kind: str, has_relay: bool
) -> None:
    clock = MovableClock()
    before = Stage(MemoryStore(clock=clock), clock)
    topics = {EXTERNAL: "message", "flow.status": "status", LETTERS: "letter"}

    def publish(stage: Stage, number: int) -> None:
        for topic, name in topics.items():
            for key in ("a", "b", "c"):
                stage.publish(topic, f"{name} {number} of {key}", key=key, owner=ALICE)

    publish(before, 1)
    if has_relay:
        before.run()
    publish(before, 2)

    other = opened(kind, request, clock)
    flows = NodeFlows(before.store, lambda _holding: ())
    NodeFlows(other, lambda _holding: ()).load(HOLDING, flows.dump(HOLDING), NodeFlows.version)
    copy_logs(before.store, other, [ALICE])
    after = Stage(other, clock)
    publish(after, 3)
    after.run()

    numbers = (2, 3) if has_relay else (1, 2, 3)
    for topic, name in topics.items():
        wanted = {f"{name} {number} of {key}" for number in (1, 2, 3) for key in "abc"}
        sent = [*before.arrived(topic), *after.arrived(topic)]
        assert sorted(sent) == sorted(wanted)
        for key in "abc":
            ours = [value for value in after.arrived(topic) if value.endswith(key)]
            assert ours == [f"{name} {number} of {key}" for number in numbers]
    # Operators still look into those that were sent.
    kept = {record.value.decode() for record in other.newest(LETTERS, 99)}
    assert kept == {f"letter {number} of {key}" for number in (1, 2, 3) for key in "abc"}
    other.close()

"""What members send that cannot be used costs a bounded number of log lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from host.network.gateway.limits import LOG_LINES_PER_SECOND
from host.network.values.messages import MembershipIn, SyncAck, encode_message, encode_record
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE = member_name(0)
SENT = 300


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


def _send(network: Network, payload: bytes, source: str | None = ALICE) -> None:
    record = MembershipIn(
        group_id=identity(MGM).group_id,
        source=source,
        target=MGM,
        message_id="m",
        payload=payload,
    )
    network.mgm.worker.handle(encode_record(record))


def _ack(network: Network) -> bytes:
    """An acknowledgement of a version by another head: as if the MGM had signed two lists."""
    return encode_message(SyncAck(version=1, head_hash=b"x" * 32, serial=0))


@pytest.mark.parametrize("kind", ["rubbish", "a fork", "a sealed one"])
def test_a_member_that_floods_the_mgm_fills_no_log(network: Network, kind: str) -> None:
    network.join(ALICE, 1)
    network.settle()
    payload = _ack(network) if kind == "a fork" else b"\xc1 rubbish \n\x1b[31m"
    source = None if kind == "a sealed one" else ALICE
    with structlog.testing.capture_logs() as logged:
        for _ in range(SENT):
            _send(network, payload, source)
        network.clock.advance(1_000)
        _send(network, payload, source)
    assert len(logged) == LOG_LINES_PER_SECOND + 1
    assert logged[-1]["left_out"] == SENT - LOG_LINES_PER_SECOND
    network.settle()
    assert network.head(ALICE) == network.head(MGM), "and changes nothing"

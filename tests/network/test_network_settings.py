"""Every key of the sections of networks changes what is in force, without a restart."""

from pathlib import Path
from typing import Any

import pytest

from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.times import MINUTE_MS, NetworkTimes
from host.network.values.messages import StatusUpdate, read_message
from host.ports.live import Fixed
from host.ports.mgm import RuleKind
from host.runtime.wiring.gateway_parts import client_limits, gateway_limits
from host.runtime.wiring.link_parts import link_limits
from host.runtime.wiring.network_parts import network_times
from host.settings import HostSettings
from host.settings.sections import CORDA_MEMBERSHIP, CORDA_P2P_GATEWAY, CORDA_P2P_LINK_MANAGER
from tests.network.dynamic_networks import Network, member_name

SECTIONS = (CORDA_P2P_GATEWAY, CORDA_P2P_LINK_MANAGER, CORDA_MEMBERSHIP)
READ_WHERE_THEY_ARE_USED = {
    "sslConfig.tlsType",  # test_a_renewed_certificate_and_mutual_tls_are_taken_over
    "sslConfig.revocationCheck.mode",  # test_gateway_revocation
    "revocationCheck.mode",  # test_gateway_revocation
}
KEYS = [(section, key) for section in SECTIONS for key in section.keys.values()]


class Config:
    """`LiveConfig` of sections with one other value."""

    def __init__(self, changed: Any, values: Any) -> None:
        self._changed, self._values = changed, values

    def section(self, section: Any) -> Any:
        return Fixed(self._values if section is self._changed else section.values({}))


def _in_force(config: Any) -> tuple[object, ...]:
    limits = client_limits(config, HostSettings(data_dir=Path("data"))).get()
    return (
        gateway_limits(config).get(),
        limits,
        link_limits(config).get(),
        network_times(config).get(),
    )


def _other(key: Any) -> Any:
    """Another value that the key may have."""
    if isinstance(key.default, bool):
        return not key.default
    return key.default - 1 if key.name.endswith("sessionRefreshThreshold") else key.default + 1


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[key.name for _, key in KEYS])
def test_a_changed_key_is_in_force(section: Any, key: Any) -> None:
    if key.name in READ_WHERE_THEY_ARE_USED:
        return
    before = _in_force(Config(None, None))
    changed = section.values({key.name: _other(key)})
    assert _in_force(Config(section, changed)) != before


def test_a_decline_is_told_for_the_time_of_the_setting(tmp_path: Any) -> None:
    network = Network(tmp_path)
    network.mgm.times = NetworkTimes(decline_ms=5 * MINUTE_MS)
    operations = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    operations.add_approval_rule(network.mgm_hash, RuleKind.STANDARD, ".*", None)
    request = network.join(member_name(0), 1)
    network.settle()
    operations.decline(network.mgm_hash, request, "not now")
    network.settle()
    told = {
        message.status: sent.ttl_ms
        for sent in network.recorded
        if not sent.sealed_for_mgm
        and isinstance(message := read_message(sent.payload), StatusUpdate)
    }
    assert told["DECLINED"] == 5 * MINUTE_MS
    assert told["PENDING_MANUAL_APPROVAL"] == 30 * MINUTE_MS
    network.close()

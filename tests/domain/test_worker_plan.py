"""Which worker processes a host is asked for."""

import pytest

from host.domain.workers import WorkerKind, WorkerPlan, WorkersInvalidError
from host.settings import SettingsInvalidError, decode_settings, encode_settings, load_settings
from host.settings.sections import GUEST


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("flow", {"flow": 3, "rest": 1}),
        ("flow=2", {"flow": 2, "rest": 1}),
        ("rest=1, crypto", {"crypto": 1, "flow": 3, "rest": 1}),
        (
            "flow=2,crypto=1,persistence=2,verification=1,membership=1,rest=1",
            {
                "crypto": 1,
                "verification": 1,
                "membership": 1,
                "persistence": 2,
                "flow": 2,
                "rest": 1,
            },
        ),
        ("flow,gateway=2", {"link": 1, "gateway": 2, "flow": 3, "rest": 1}),
        ("flow,link", {"link": 1, "gateway": 1, "flow": 3, "rest": 1}),
        ("combined", {}),
    ],
)
def test_a_plan_is_read_from_text_and_written_as_text(text, counts):
    plan = WorkerPlan.parse(text, flow_count=3)
    assert plan.counts == {WorkerKind(kind): count for kind, count in counts.items()}
    assert WorkerPlan.parse(str(plan), flow_count=3) == plan


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("flow=0", "'flow=0'"),
        ("flow=65", "'flow=65'"),
        ("flow=two", "'flow=two'"),
        ("flows=2", "'flows=2'"),
        ("flow=2,flow=3", "'flow' is named twice"),
        ("rest=2", "exactly one rest"),
        ("link=2", "exactly one link"),
        ("combined,flow=2", "'combined'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path, text, named):
    with pytest.raises(WorkersInvalidError, match=named):
        WorkerPlan.parse(text, flow_count=1)
    options = {"data_dir": tmp_path, "workers": text}
    with pytest.raises(SettingsInvalidError, match=named):
        load_settings(options=options, file=None, environment={})


def test_a_host_has_one_relay():
    assert WorkerPlan.parse("relay", flow_count=1, has_relay=True).counts[WorkerKind.RELAY] == 1
    with pytest.raises(WorkersInvalidError, match="exactly one relay"):
        WorkerPlan.parse("relay=2", flow_count=1, has_relay=True)


def test_a_gateway_needs_an_address(tmp_path):
    options = {"data_dir": tmp_path, "workers": "gateway"}
    with pytest.raises(SettingsInvalidError, match="gateway_listen names no address"):
        load_settings(options=options, file=None, environment={})
    environment = {"CORDBOX_GATEWAY_LISTEN": "127.0.0.1:0,[::1]:8080"}
    settings = load_settings(options=options, file=None, environment=environment)
    assert settings.gateway_listen == ("127.0.0.1:0", "[::1]:8080")


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("gateway_listen", ("127.0.0.1:65536",), "above 65535"),
        ("gateway_listen", ("8080",), "gateway_listen"),
        ("p2p_deny_networks", ("10.0.0.1/8",), "host bits set"),
        ("p2p_deny_networks", ("metadata",), "p2p_deny_networks"),
    ],
)
def test_addresses_of_gateways_that_cannot_be_are_refused(tmp_path, name, value, named):
    options = {"data_dir": tmp_path, name: value}
    with pytest.raises(SettingsInvalidError, match=named):
        load_settings(options=options, file=None, environment={})


def test_another_process_reads_the_same_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"data_dir": "data", "workers": "flow=2", "guest_allowed_capabilities": ("log",)}
    settings = load_settings(options=options, file=None, environment={})
    read = decode_settings(encode_settings(settings))
    assert read.data_dir == tmp_path / "data"
    assert (read.workers, read.section(GUEST).allowed_capabilities) == ("flow=2", ("log",))
    with pytest.raises(SettingsInvalidError):
        decode_settings(b'{"data_dir": 7}')

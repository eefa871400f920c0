"""SIGHUP has a running host read its settings and its certificate again, and ends nothing."""

import signal
import ssl
import time
from urllib.parse import urlsplit

import pytest

from host.adapters.os.system import SystemClock
from host.rest.tls import own_certificate
from host.settings.reread import take_over
from host.settings.sections import FLOW, LOG, SECTIONS
from tests.support.hosts import settings_of

SECONDS_MAX = 60


def test_live_settings_are_taken_over_and_others_are_named(tmp_path):
    running = settings_of(tmp_path, flow_workers=1, rest_transfer_seconds_max=5)
    wanted = settings_of(
        tmp_path, log_level="debug", flow_workers=2, rest_connections_max=9, listen="[::1]:1"
    )
    found = take_over(running, wanted, SECTIONS)
    assert set(found.changed) == {"log_level", "rest_connections_max", "rest_transfer_seconds_max"}
    assert found.waiting == ("listen", "flow_workers")
    assert found.settings.section(LOG).level == "debug"
    assert found.settings.section(FLOW).workers == 1
    assert found.settings.listen == running.listen
    assert take_over(found.settings, wanted, SECTIONS).changed == ()


def until(host, holds):
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        if holds(host.lines()):
            return
        time.sleep(0.02)
    pytest.fail(host.log.read_text()[-3000:])


def served_by(host):
    """The certificate that a new connection gets."""
    parts = urlsplit(host.url)
    return ssl.get_server_certificate((parts.hostname, parts.port))


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize("workers", ["combined", "flow=1"])
def test_a_host_reads_again_what_it_can(tmp_path, running, workers):
    own_certificate(tmp_path / "tls", listen_host="127.0.0.1", clock=SystemClock())
    settings = tmp_path / "cordbox.toml"
    names = (
        'tls_certificate_file = "tls/certificate.pem"\n'
        'tls_private_key_file = "tls/private-key.pem"\n'
    )
    settings.write_text(names)
    with running(tmp_path, "--workers", workers) as host:
        pids = None if workers == "combined" else host.pids()
        before = served_by(host)
        (tmp_path / "tls" / "certificate.pem").unlink()
        own_certificate(tmp_path / "tls", listen_host="127.0.0.1", clock=SystemClock())
        settings.write_text(names + '[cordbox]\nlog.level = "debug"\nrest.threads = 3\n')
        host.process.send_signal(signal.SIGHUP)
        # The file is also looked at by itself, so the certificate may be read again first.
        told = {"certificate-reread", "settings-reread", "settings-need-restart"}
        until(host, lambda lines: told <= {line["event"] for line in lines})
        assert served_by(host) != before
        reread = [line for line in host.lines() if line["event"] == "settings-reread"]
        assert [line["changed"] for line in reread] == [["log_level"]]
        waiting = [line for line in host.lines() if line["event"] == "settings-need-restart"]
        assert [line["settings"] for line in waiting] == [["rest_threads"]]
        # Requests that are answered well are logged at debug only.
        host.tls = ssl.create_default_context(cafile=tmp_path / "tls" / "certificate.pem")
        with host.client() as client:
            assert client.get("/isHealthy").status_code == 200
            until(host, lambda lines: any(line.get("path") == "/isHealthy" for line in lines))
            settings.write_text("nonsense = 1\n")
            host.process.send_signal(signal.SIGHUP)
            until(host, lambda lines: any(ln["event"] == "settings-not-reread" for ln in lines))
            assert client.get("/isHealthy").status_code == 200
        assert pids is None or host.pids() == pids
        assert host.end() == 0

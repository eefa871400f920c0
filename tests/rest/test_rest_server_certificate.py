import stat

import pytest
from cryptography import x509

from host.rest.tls import own_certificate

DAY_MS = 24 * 3600 * 1000


def test_the_certificate_is_kept_until_it_is_about_to_expire(tmp_path, clock):
    first = own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    kept = first.certificate_file.read_bytes()
    clock.advance(700 * DAY_MS)
    own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    assert first.certificate_file.read_bytes() == kept
    clock.advance(100 * DAY_MS)
    own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    assert first.certificate_file.read_bytes() != kept


def test_it_names_the_machine_and_its_key_is_private(tmp_path, clock):
    files = own_certificate(tmp_path, listen_host="host.example", clock=clock)
    certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "host.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert "127.0.0.1" in {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    assert stat.S_IMODE(files.private_key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", ["certificate_file", "private_key_file"])
def test_damaged_or_mismatched_files_are_made_anew(tmp_path, clock, damaged):
    files = own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    getattr(files, damaged).write_bytes(b"torn")
    own_certificate(tmp_path, listen_host="127.0.0.1", clock=clock)
    x509.load_pem_x509_certificate(files.certificate_file.read_bytes())

from rfc3339_validator import validate_rfc3339


def check():
    assert validate_rfc3339("2026-11-30T10:00:00Z")
    assert not validate_rfc3339("2026-11-30")
    assert not validate_rfc3339("2026-02-30T10:00:00Z")

"""What a guest returns as its failure, as the host reads it."""

import json

import pytest

from host.domain.guest_text import MESSAGE_BYTES_MAX
from host.guests import flows
from host.ports.guest import Usage


def test_a_failure_longer_than_any_of_the_sdk_is_not_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payload = json.dumps({"type": "T", "message": "m" * 3_000_000, "trace": []})
    monkeypatch.setattr(flows, "checked_json", lambda _text: pytest.fail("it was parsed"))
    failure = flows._failure(payload, Usage())
    assert failure.message.endswith(f"[cut: {MESSAGE_BYTES_MAX} of {len(payload)} bytes]")
    assert len(failure.message.encode()) == MESSAGE_BYTES_MAX


def test_the_longest_failure_of_the_sdk_is_parsed() -> None:
    frames = [{"file": "f" * 100, "line": n, "function": "g" * 100} for n in range(50)]
    payload = json.dumps({"type": "T", "message": "\N{GRINNING FACE}" * 16384, "trace": frames})
    failure = flows._failure(payload, Usage())
    assert failure.type == "T"
    assert len(failure.trace) == 50

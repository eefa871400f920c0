import pytest

from cordapp_testkit import FlowFailedError, Network

MALLORY, ALICE = "O=Mallory, L=London, C=GB", "O=Alice, L=London, C=GB"

STOPPED_BY_THE_SANDBOX = {
    "hostile_compute.EndlessLoop": "out-of-fuel",
    "hostile_compute.StubbornLoop": "out-of-fuel",
    "hostile_compute.MemoryBomb": "memory-limit",
    "hostile_compute.StubbornMemoryBomb": "out-of-fuel",
    "hostile_compute.DeepRecursion": "RecursionError",
    "hostile_compute.UnlimitedRecursion": "out-of-fuel",
    "hostile_compute.DeepNesting": "out-of-fuel",
    "hostile_compute.RegexBacktracking": "out-of-fuel",
    "hostile_compute.HugePower": "out-of-fuel",
    "hostile_escape.ReadFile": "OSError",
    "hostile_escape.ReadFileBelowPython": "OSError",
    "hostile_escape.OpenSocket": "OSError",
    "hostile_escape.RunCommand": "OSError",
    "hostile_escape.ReadClock": "OSError",
    "hostile_escape.ReadClockBelowPython": "OSError",
    "hostile_escape.ReadEnvironment": "attempt-failed",
    "hostile_escape.ReadRandomness": "OSError",
    "hostile_steal.CallUnknownFunction": "LookupError",
    "hostile_flood.LogFlood": "log-limit",
    "hostile_flood.HostCallFlood": "too-many-host-calls",
    "hostile_flood.OversizedResult": "payload-too-large",
    "hostile_flood.OversizedRequest": "payload-too-large",
    "hostile_flood.OversizedError": "ValueError",
    "hostile_flood.BrokenText": "UnicodeEncodeError",
}

STOPPED_BY_THE_HOST = {
    "hostile_steal.CallUngranted": "capability-not-granted",
    "hostile_steal.CallUngrantedAndGoOn": "capability-not-granted",
    "hostile_steal.ReadOthersEntities": "attempt-failed",
    "hostile_steal.ReadOthersTypes": "entity-type-unknown",
    "hostile_steal.ReadOthersTransaction": "attempt-failed",
    "hostile_steal.ReadOthersState": "state-not-found",
    "hostile_steal.UseOthersSession": "session-unknown",
    "hostile_steal.OpenSessionWithoutProtocol": "session-no-protocol",
}

AGAINST_A_HOST = {
    f"hostile_host.{name}"
    for name in (
        "NestedRequest",
        "HalfCharacter",
        "LongFailure",
        "FailToMany",
        "_Quarrel",
        "Listener",
        "Breed",
        "_Spread",
        "Worm",
        "SlowPattern",
        "ExternalFlood",
        "EmptyWrites",
        "ShortSleeps",
        "HeavySleep",
        "HugeResult",
        "HeavyJournal",
        "WideInit",
        "Tiny",
    )
}
"""Only a running host has what these attack: `cordbox audit gauntlet --host` tries them."""


@pytest.mark.parametrize("flow", STOPPED_BY_THE_SANDBOX)
def test_sandbox_stops(sandbox_network: Network, flow: str) -> None:
    mallory = sandbox_network.node(MALLORY)
    with pytest.raises(FlowFailedError) as failed:
        mallory.start(flow, {})
    assert failed.value.type == STOPPED_BY_THE_SANDBOX[flow]


@pytest.mark.parametrize("flow", STOPPED_BY_THE_HOST)
def test_host_stops(cordapp_network: Network, flow: str) -> None:
    mallory, _alice = (cordapp_network.node(name) for name in (MALLORY, ALICE))
    with pytest.raises(FlowFailedError) as failed:
        mallory.start(flow, {})
    assert failed.value.type == STOPPED_BY_THE_HOST[flow]


def test_hash_is_the_same_in_every_sandbox(sandbox_network: Network) -> None:
    mallory = sandbox_network.node(MALLORY)
    messages = set()
    for _ in range(2):
        with pytest.raises(FlowFailedError) as failed:
            mallory.start("hostile_escape.HashOrder", {})
        messages.add(failed.value.message)
    assert len(messages) == 1


def test_every_attempt_has_an_expectation(sandbox_network: Network) -> None:
    expected = {
        *STOPPED_BY_THE_SANDBOX,
        *STOPPED_BY_THE_HOST,
        *AGAINST_A_HOST,
        "hostile_escape.HashOrder",
    }
    assert expected == {flow["name"] for flow in sandbox_network.described["flows"]}

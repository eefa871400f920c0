"""What the demo accepts as the end of a hostile flow."""

from sample_cordapps.demo.attacks import is_stopped


def test_what_computes_may_be_ended_by_the_clock_but_not_what_asks_for_data() -> None:
    late = "deadline-exceeded: the run took longer than 10000 ms"
    assert is_stopped("hostile_compute.EndlessLoop", "out-of-fuel: the guest used all of its fuel")
    assert is_stopped("hostile_compute.EndlessLoop", late)
    assert is_stopped("hostile_flood.LogFlood", late)
    assert not is_stopped("hostile_steal.CallUngranted", late)
    assert not is_stopped("hostile_compute.EndlessLoop", "FLOW_FAILED: x deadline-exceeded: y")

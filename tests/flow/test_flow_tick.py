"""Batches of due times are apart; the first one after a pause is not delayed."""

from host.flow.engine.tick import TICK_S, Tick


def test_a_batch_waits_only_for_the_one_before_it() -> None:
    now = 100.0
    tick = Tick(lambda: now)
    assert tick.wait_s() <= 0
    tick.begin()
    assert abs(tick.wait_s() - TICK_S) < 1e-9
    now += TICK_S / 2
    assert 0 < tick.wait_s() < TICK_S
    now += TICK_S
    assert tick.wait_s() <= 0

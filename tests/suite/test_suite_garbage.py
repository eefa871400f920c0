"""Tests do not pay for searches of the garbage collector through all that pytest has collected."""

import gc


def test_what_was_collected_is_not_searched_for_garbage() -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > 20_000

"""Lines of commands."""

import pytest

from host.cli.lines import fixed_width


@pytest.mark.parametrize(
    ("answered", "shown"),
    [
        ("2026-11-30T18:17:25Z", "2026-11-30T18:17:25.000000Z"),
        ("2026-11-30T18:17:25.657000Z", "2026-11-30T18:17:25.657000Z"),
        ("2026-11-30T18:17:25.657Z", "2026-11-30T18:17:25.657000Z"),
        ("yesterday", "yesterday"),
        ("None", "None"),
    ],
)
def test_an_instant_has_the_same_width_also_at_a_whole_second(answered, shown):
    assert fixed_width(answered) == shown

"""Numbers, sizes and times in words."""

import pytest

from host.domain.wording import count, moment, size, some, span, up_to


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (-5, "0 ms"),
        (12, "12 ms"),
        (1000, "1 s"),
        (192_000, "3 min 12 s"),
        (60_500, "1 min"),
        (3_600_000, "1 h"),
        (12 * 86_400_000 + 4 * 3_600_000, "12 d 4 h"),
    ],
)
def test_spans(millis, text):
    assert span(millis) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(512, "512 B"), (1536, "1.5 KiB"), (100 << 20, "100 MiB"), (2040109466, "1.9 GiB")],
)
def test_sizes(number, text):
    assert size(number) == text


def test_counts_and_moments():
    assert (count(10_214), some(1, "flow"), some(18, "flow")) == ("10,214", "1 flow", "18 flows")
    assert (up_to(10_000), up_to(10_001)) == ("10,000", "more than 10,000")
    assert moment(1_795_952_536_000) == "29 November 2026, 11:42:16 UTC"

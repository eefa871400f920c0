"""The profile of property tests: how many examples, and no time limit for one or for making one.

How long an example takes depends on the machine and on what else runs there; steps are counted
where growth matters. By default a part of the examples is tried, as a change needs its answer soon;
`make prove-properties` sets CORDBOX_EXAMPLES=all and tries them all.
"""

import os

from hypothesis import HealthCheck, settings

_ALL = os.environ.get("CORDBOX_EXAMPLES") == "all"
_USUAL = 100


def examples(most: int) -> int:
    """How many examples of `most` are tried: two of five by default."""
    return most if _ALL else most * 2 // 5


settings.register_profile(
    "cordbox",
    deadline=None,
    max_examples=examples(_USUAL),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cordbox")

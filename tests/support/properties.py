"""The profile of property tests: no time limit, neither for an example nor for making one.

How long an example takes depends on the machine and on what else runs there; steps are counted
where growth matters.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("cordbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cordbox")

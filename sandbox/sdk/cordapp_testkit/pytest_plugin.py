"""The pytest plugin; see `host.tools.testkit.pytest_plugin`."""

from host.tools.testkit.pytest_plugin import (
    cordapp_cpi,
    cordapp_network,
    cordapp_settings,
    native_network,
    pytest_addoption,
    pytest_collect_file,
    pytest_runtest_makereport,
    sandbox_network,
)

__all__ = [
    "cordapp_cpi",
    "cordapp_network",
    "cordapp_settings",
    "native_network",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_runtest_makereport",
    "sandbox_network",
]

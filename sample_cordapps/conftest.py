"""Gives the samples' tests the published test kit, as a CorDapp's own conftest.py would."""

from cordapp_testkit.pytest_plugin import (
    cordapp_network,
    native_network,
    pytest_collect_file,
    sandbox_network,
)

__all__ = ["cordapp_network", "native_network", "pytest_collect_file", "sandbox_network"]

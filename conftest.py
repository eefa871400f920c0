"""Plugins of the tests: the test kit, the marks of cores, and the list of allowed skips."""

pytest_plugins = ["cordapp_testkit.pytest_plugin", "tests.support.cores", "tests.support.skips"]

"""Plugins of the tests: the test kit's, for the sample CorDapps, and the list of allowed skips."""

pytest_plugins = ["cordapp_testkit.pytest_plugin", "tests.support.skips"]

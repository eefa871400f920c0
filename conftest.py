"""Plugins of the tests: the test kit, marks of cores, the property profile, and allowed skips."""

pytest_plugins = [
    "cordapp_testkit.pytest_plugin",
    "tests.support.cores",
    "tests.support.properties",
    "tests.support.skips",
]

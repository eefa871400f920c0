"""Plugins of the tests: the test kit, marks of cores, interrupts, property profile, and skips."""

pytest_plugins = [
    "cordapp_testkit.pytest_plugin",
    "tests.support.cores",
    "tests.support.interrupts",
    "tests.support.properties",
    "tests.support.skips",
]

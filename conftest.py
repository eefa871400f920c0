"""Plugins of the tests: the kit, cores, servers, garbage, interrupts, Java, properties, skips."""

pytest_plugins = [
    "cordapp_testkit.pytest_plugin",
    "tests.support.cores",
    "tests.support.database_servers",
    "tests.support.garbage",
    "tests.support.interrupts",
    "tests.support.java",
    "tests.support.properties",
    "tests.support.skips",
]

"""Plugins of the tests: the kit, and what `tests/support` says of each."""

pytest_plugins = [
    "cordapp_testkit.pytest_plugin",
    "tests.support.acceptance",
    "tests.support.cores",
    "tests.support.database_instead",
    "tests.support.database_servers",
    "tests.support.garbage",
    "tests.support.interrupts",
    "tests.support.java",
    "tests.support.passwords",
    "tests.support.profiles",
    "tests.support.properties",
    "tests.support.skips",
    "tests.support.stages",
    "tests.support.rewriting",
]

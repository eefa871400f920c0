"""The test kit's plugin, for the tests of the sample CorDapps."""

pytest_plugins = ["cordapp_testkit.pytest_plugin"]

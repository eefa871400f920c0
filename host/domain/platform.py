"""The Corda platform version that this host reports."""

PLATFORM_VERSION = 50200
SOFTWARE_VERSION = "5.2.0.0"

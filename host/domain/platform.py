"""Which Corda platform this host speaks as."""

PLATFORM_VERSION = 50200
SOFTWARE_VERSION = "5.2.0.0"

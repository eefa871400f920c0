"""The parts of a host, each put together in one module; `host.app` joins them."""

"""The parts of a host, each put together in one module; `host.runtime.app` joins them."""

"""The parts of a host, each built in one module; `host.runtime.app` combines them."""

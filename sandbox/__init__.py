"""WebAssembly sandboxes: engine, limits, compile jail, caches, receipts."""

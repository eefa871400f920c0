"""The test kit of the CorDapp SDK, which users import as `cordapp_testkit`.

A network of virtual nodes inside one test, on the host's own parts: flow engine, ledger, entities,
keys, membership, quotas. Only three things are the kit's: bus and states are in memory, the clock
moves by itself when nothing can run, and guests may run as plain Python in this process.
"""

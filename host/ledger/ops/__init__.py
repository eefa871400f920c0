"""Operations of the ledger that one call answers, by function and `op` of the request.

`sandbox/host_api.py` has the table of all; those that take several messages are programs.
"""

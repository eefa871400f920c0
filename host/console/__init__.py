"""The operators' console: pages over the operations of REST, made on the server.

A page asks only the gate (`host.rest.gate`), as the user who looks. It works without a script.
"""

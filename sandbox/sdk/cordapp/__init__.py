"""The CorDapp SDK: what contracts and flows import.

Import from the module that holds a thing, `cordapp.contracts` or `cordapp.flows`: a contract CPK
carries only the modules that its own imports reach.
"""

__version__ = "0.1.0"

"""See `host.tools.testkit.bindings`."""

from host.tools.testkit.bindings import (
    ContractComponent,
    WorkflowComponent,
    WorkflowHost,
    error_payload,
    method_name,
)

__all__ = [
    "ContractComponent",
    "WorkflowComponent",
    "WorkflowHost",
    "error_payload",
    "method_name",
]

"""The standard modules in the pinned runtimes, as the build judges imports by them."""

import sys
from dataclasses import dataclass

from sandbox.module_table import ENCODINGS, INTERNAL, MODULES, find_module

_PINNING = (
    "pin its wheel (vendor-lock, vendor-wheels), or add the module to the sources; those of a"
    " contract need [contract] in cordapp.toml, and a contract cannot import those of the workflow"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """Modules that a world's runtime provides, in addition to the CPK's own and the SDK's.

    Attributes:
        modules: dotted names of the standard modules in the runtime.
    """

    modules: frozenset[str]

    @staticmethod
    def of_default_runtime() -> "SourceRules":
        """The modules in the newest pinned runtimes, the same for both worlds."""
        present = {name for name, row in MODULES.items() if row.importable}
        encodings = {f"encodings.{name}" for name in ENCODINGS}
        return SourceRules(modules=frozenset(present | INTERNAL | encodings))

    def allows(self, module: str) -> bool:
        return module in self.modules

    def reserves(self, name: str) -> bool:
        """Whether a top-level name is one of the standard library, here or in the runtime."""
        return name in self.modules or name in sys.stdlib_module_names

    def reason(self, module: str) -> str | None:
        """Why the runtime lacks a module and what to do; None if it has it."""
        if self.allows(module):
            return None
        row = find_module(module)
        if row is not None and not row.importable:
            return row.refusal
        if module.partition(".")[0] in sys.stdlib_module_names:
            return "it is not among the runtime's standard modules"
        return f"neither the CPK nor its dependencies contain it: {_PINNING}"

    def reason_of_attribute(self, name: str) -> str | None:
        """The same for a name of a module that the runtime has, which is seldom a module."""
        return self.reason(name) if name in MODULES else None

"""The standard modules in the pinned runtimes, as the build judges imports by them."""

import ast
import sys
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from sandbox.module_table import MODULES, find_module

_ALWAYS = frozenset({"builtins", "os.path"})
_PINNING = "pin its wheel (vendor-lock, vendor-wheels), or add the module to the sources"


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
        path = Path(str(package_files("sandbox"))) / "runtime_app" / "standard_modules.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES":
                names = frozenset(ast.literal_eval(node.value))
                parents = {name.rpartition(".")[0] for name in names} - {""}
                return SourceRules(modules=names | parents | _ALWAYS)
        raise LookupError(f"{path} defines no NAMES")

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

"""What a build makes without compiled libraries: any Python from 3.11 on can run this.

Arguments: a project's folder. Writes digests of its sources, their packed form, a manifest and an
archive.
"""

import hashlib
import json
import sys
from pathlib import Path

from cpi.archive.writing import write_archive
from cpi.jar.manifest import encode_manifest
from host.tools.cordapps.project import load_project
from host.tools.cordapps.requirements_lock import read_lock
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import collect_sources
from sandbox.python_source import PythonSource


def main() -> None:
    project = load_project(Path(sys.argv[1]))
    rules = SourceRules.of_default_runtime()
    base: dict[str, str] = {}
    made = {"python": sys.version_info[:2]}
    for plan in (project.contract, project.workflow):
        assert plan is not None
        assert plan.source is not None
        own = collect_sources(plan.source, plan.modules, rules=rules, base=base).files
        source = PythonSource(files={**base, **own}, entry_modules=plan.modules)
        base = own
        entries = [(name, text.encode()) for name, text in own.items()]
        manifest = encode_manifest(
            {"Manifest-Version": "1.0", "Bundle-SymbolicName": plan.symbolic_name},
            [
                (name, {"SHA-256-Digest": hashlib.sha256(data).hexdigest()})
                for name, data in entries
            ],
        )
        made[plan.world.value] = [
            source.digest,
            hashlib.sha256(source.packed()).hexdigest(),
            hashlib.sha256(
                write_archive([("META-INF/MANIFEST.MF", manifest), *entries])
            ).hexdigest(),
        ]
    lock = project.root / "requirements.lock"
    made["lock"] = [f"{r.name} {r.version} {sorted(r.digests)}" for r in read_lock(lock)]
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()

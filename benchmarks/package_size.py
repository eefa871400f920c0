"""Size of the IOU's CPI, SDK included, against shipping an interpreter in each CPK."""

import json
from pathlib import Path

from benchmarks import workshop
from benchmarks.measure import Measurement
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy

_GOAL_BYTES = 40 * 1024


def iou() -> list[Measurement]:
    """The IOU's CPI."""
    built = workshop.built(Path("sample_cordapps/iou"))
    policy = generate_static_policy(
        names=[f"O={n}, L=London, C=GB" for n in ("Alice", "Bob", "Charlie")],
        group_id=None,
        endpoint_url="http://localhost:1080",
        endpoint_protocol=1,
    )
    cpb = (built.cpb.path.name, built.cpb.path.read_bytes())
    cpi = build_cpi(
        name="iou", version="1.0.0", cpb=cpb, group_policy=policy, keys=(workshop.key(),)
    )
    runtimes = json.loads(Path("sandbox/runtimes/provenance.json").read_text(encoding="utf-8"))
    shipped = max(p.stat().st_size for p in Path("sandbox/runtimes").glob("*.zst"))
    size = float(len(cpi))
    return [
        Measurement(
            name="IOU CPI: two CPKs with SDK, three signature layers, group policy",
            value=size,
            unit="bytes",
            against=f"one zstd-compressed Python component per CPK ({shipped:,} bytes)",
            ratio=2 * shipped / size,
            note=f"goal {_GOAL_BYTES:,}; {len(runtimes)} pinned runtimes shared by all",
        )
    ]

"""Attacks of the run stage that the hostile sample CorDapp makes."""

from host.tools.audit.gauntlet.model import LIMITS, PythonAttack
from sandbox.world import World


def _sample(name: str, about: str, *stops: str) -> PythonAttack:
    return PythonAttack(
        name=name.rpartition(".")[2],
        about=about,
        flow=name,
        stops=frozenset(stops),
        world=World.WORKFLOW,
    )


def sample_flows() -> tuple[PythonAttack, ...]:
    """Flows of the hostile CorDapp that need no other node."""
    fuel = tuple(LIMITS)
    below = ("forbidden-operation", "OSError", "attempt-failed")
    return (
        _sample("hostile_compute.EndlessLoop", "loops for ever", *fuel),
        _sample("hostile_compute.StubbornLoop", "catches whatever should end its loop", *fuel),
        _sample("hostile_compute.MemoryBomb", "takes memory until there is none", *fuel),
        _sample("hostile_compute.StubbornMemoryBomb", "in smaller and smaller pieces", *fuel),
        _sample("hostile_compute.DeepRecursion", "calls itself for ever", "RecursionError", *fuel),
        _sample("hostile_compute.UnlimitedRecursion", "and lifts Python's limit first", *fuel),
        _sample("hostile_compute.DeepNesting", "recursion in C code", *fuel),
        _sample("hostile_compute.RegexBacktracking", "a pattern of 2^60 steps", *fuel),
        _sample("hostile_compute.HugePower", "a number of 10^9 digits", *fuel),
        _sample("hostile_escape.ReadFile", "reads a file", *below),
        _sample("hostile_escape.ReadFileBelowPython", "opens a file below Python", *below),
        _sample("hostile_escape.OpenSocket", "calls the host's own port", *below),
        _sample("hostile_escape.RunCommand", "starts a process", *below),
        _sample("hostile_escape.ReadClock", "asks for the time", *below),
        _sample("hostile_escape.ReadClockBelowPython", "asks C code for the time", *below),
        _sample("hostile_escape.ReadEnvironment", "reads environment variables", *below),
        _sample("hostile_escape.ReadRandomness", "asks for randomness", *below),
        _sample("hostile_steal.CallUngranted", "signs without the grant", "capability-not-granted"),
        _sample(
            "hostile_steal.CallUngrantedAndGoOn",
            "and catches the refusal",
            "capability-not-granted",
        ),
        _sample("hostile_steal.CallUnknownFunction", "calls what no world has", "LookupError"),
        _sample("hostile_flood.LogFlood", "logs for ever", "log-limit"),
        _sample(
            "hostile_flood.HostCallFlood", "calls the host for ever", "too-many-host-calls", *fuel
        ),
        _sample("hostile_flood.OversizedResult", "a result of 18 MiB", "payload-too-large"),
        _sample("hostile_flood.OversizedRequest", "a request of 18 MiB", "payload-too-large"),
        _sample("hostile_flood.OversizedError", "an error of 18 MiB", "ValueError"),
        _sample(
            "hostile_flood.BrokenText",
            "a result that is no Unicode",
            "UnicodeEncodeError",
            "payload-invalid",
        ),
    )

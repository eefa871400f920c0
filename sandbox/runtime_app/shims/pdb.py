"""`pdb` of a sandbox: its names, which refuse; a test run in plain Python can be debugged."""


class Pdb:
    """A debugger; refused."""


def _refused() -> None:
    """Stands for what the table of modules refuses."""


post_mortem = run = runcall = runeval = set_trace = _refused

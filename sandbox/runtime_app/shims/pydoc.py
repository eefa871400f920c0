"""`pydoc` of a sandbox: its names, which refuse."""


def _refused() -> None:
    """Stands for what the table of modules refuses."""


getdoc = help = locate = render_doc = splitdoc = _refused

"""HTML and SVG from Jinja2 templates in the folder of their module.

All values in a template are escaped. Non-printable characters are shown as escapes, so that no name
in a package can reverse or hide the text around it.
"""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from host.domain.printable import printable


def code(text: str) -> Markup:
    """`text` as code."""
    return Markup("<code>{}</code>").format(printable(text))


def render(package: str, template: str, /, **values: Any) -> str:
    """Render `template`, a file of `package`, with `values`.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    return environment(package).get_template(template).render(**values)


@cache
def environment(package: str) -> Environment:
    """The templates of a package's folder."""
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

"""Pages from templates: one way to fill them in, in which nothing is missing and nothing of a file becomes markup."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(package: str, template: str, **content: Any) -> bytes:
    """A page as the bytes of its HTML file.

    Args:
        package: Package whose folder `templates` holds the template.
        template: Name of the template.
        content: What it is filled with. A name that the template needs and that is absent is an error.
    """
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=select_autoescape(["html"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content).encode()

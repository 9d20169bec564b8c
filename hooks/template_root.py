"""A Jinja extension that tells a hook where the template is, however it was fetched."""

from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension


class TemplateRoot(Extension):
    """Adds `template_root()` to the hooks' Jinja environment.

    Cookiecutter renders hooks with the template as working directory and runs them in the new project. The
    function asks at render time: Python keeps this module between two bakes from different places.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = lambda: Path.cwd().as_posix()

"""The demo's one error."""


class DemoError(Exception):
    """A claim of the demo did not hold, or a tool it called failed."""

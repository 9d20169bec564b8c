"""Why a phase of CodeBuild's own failed."""


class PhaseError(Exception):
    """`code` is the status code of the phase's context, the text its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

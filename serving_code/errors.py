"""What may be wrong: with a model's files, or with a request, as the JSON error that its caller gets."""

from typing import Any


class ArchiveError(Exception):
    """What is wrong with the model's files; /ping says it."""


class RequestError(Exception):
    """An error answer: HTTP status, a code for programs, a sentence for people, and the field if one is to blame."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self, request_id: str) -> dict[str, Any]:
        """The answer's body."""
        found = {"code": self.code, "message": self.message, "field": self.field, "requestId": request_id}
        return {"error": found}


def invalid(field: str, message: str) -> RequestError:
    """A field whose value is not allowed."""
    return RequestError(422, "ValidationError", message, field)

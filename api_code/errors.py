"""What went wrong, as the JSON error that the caller gets; the shape is the endpoint's own (serving_code/errors.py)."""

from typing import Any


class ApiError(Exception):
    """An error answer: HTTP status, a code for programs, a sentence for people, and the field if one is to blame."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

    def body(self, request_id: str) -> dict[str, Any]:
        """The answer's body."""
        found = {"code": self.code, "message": self.message, "field": self.field, "requestId": request_id}
        return {"error": found}


def invalid(field: str, message: str) -> ApiError:
    """A field whose value is not allowed."""
    return ApiError(422, "ValidationError", message, field)

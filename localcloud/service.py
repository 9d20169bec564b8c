"""What a service of localcloud is: a name of botocore's and the operations it really does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cloud import Cloud


class CloudError(Exception):
    """An answer in AWS's own words: its error code, its sentence, its HTTP status.

    `fields` are the members of a modelled error beside the message, such as ModelError's OriginalStatusCode.
    """

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})


Operation = Callable[["Cloud", dict[str, Any]], dict[str, Any] | None]
"""Takes a value of botocore's input shape, already validated, and returns one of the output shape."""


@dataclass(frozen=True)
class Service:
    """A service that localcloud answers itself. An operation that is not listed is refused by name."""

    name: str
    operations: Mapping[str, Operation]

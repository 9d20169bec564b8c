"""The access log of a stage: `$context.` variables of its format, filled in."""

import re
from collections.abc import Mapping

from ..service import CloudError

VARIABLES = [
    "accountId",
    "apiId",
    "error.message",
    "httpMethod",
    "identity.sourceIp",
    "integrationErrorMessage",
    "integrationLatency",
    "integrationStatus",
    "path",
    "protocol",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "responseLatency",
    "responseLength",
    "routeKey",
    "stage",
    "status",
]
_VARIABLE = re.compile(r"\$context\.([A-Za-z.]*[A-Za-z])")


def check_format(text: str) -> None:
    """CloudError for a variable that would stay empty."""
    for name in _VARIABLE.findall(text):
        if name not in VARIABLES:
            raise CloudError("UnsupportedOperation", f"localcloud does not support $context.{name} in an access log")


def line(text: str, values: Mapping[str, object]) -> str:
    """The line of one request; what is not known is `-`, as in AWS."""
    return _VARIABLE.sub(lambda found: str(values.get(found[1], "-")), text)

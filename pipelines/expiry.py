"""Credentials that end while a command is at work: noticed at whichever call meets it, and begun again once."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pipelines.errors import ExpiredError

STATUS = 75  # EX_TEMPFAIL of sysexits.h: run it again
CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
Client = TypeVar("Client")
Found = TypeVar("Found")


def watched(client: Client) -> Client:
    """The boto3 client, which now raises ExpiredError: no `except ClientError` takes that for AWS's word on a thing."""
    events: Any = client
    events.meta.events.register("after-call", _refuse_expired)
    return client


def _refuse_expired(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    error = parsed.get("Error", {})
    # the answer to HEAD has no body to say why; 400 is what S3 gives for a token that has ended
    silent = model.http.get("method") == "HEAD" and http_response.status_code == 400
    if error.get("Code") in CODES or silent:
        said = f"AWS refused {model.name}: {error.get('Code')}: {error.get('Message', '')}"
        raise ExpiredError(f"{said}; the credentials ended, run it again with new ones")


def twice(command: Callable[[], Found]) -> Found:
    """What the command returns, begun again with new credentials if those it had ended: each may be run again."""
    try:
        return command()
    except ExpiredError as error:
        import boto3

        print(f"{error}; beginning again, once", file=sys.stderr)
        boto3.setup_default_session()  # from now on clients ask for credentials anew
        return command()

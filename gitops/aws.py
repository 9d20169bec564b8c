"""boto3 clients as this program wants them, and AWS's errors in one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from gitops.errors import ExpiredError, GitopsError

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
ATTEMPTS = 8  # three attempts do not survive a burst of five 503s; eight do


def client(service: str, region: str, attempts: int = ATTEMPTS) -> Any:
    """A boto3 client with bounded retries; its endpoint is botocore's own business (AWS_ENDPOINT_URL)."""
    import boto3
    from botocore.config import Config

    retries = {"total_max_attempts": attempts, "mode": "standard"}
    return boto3.client(service, region_name=region, config=Config(retries=retries, connect_timeout=10))


def renew() -> None:
    """From now on clients ask for credentials anew instead of using those this process was given."""
    import boto3

    boto3.setup_default_session()


def code(error: ClientError) -> str:
    """AWS's error code, for example `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    """AWS's own sentence."""
    return str(error.response.get("Error", {}).get("Message", error))


def missing(error: ClientError) -> bool:
    """True for the several ways in which AWS says that a thing does not exist."""
    says_so = "could not find" in message(error).lower() or "does not exist" in message(error).lower()
    return code(error) in {"404", "NoSuchKey", "NotFound", "ResourceNotFound", "ResourceNotFoundException"} or (
        code(error) == "ValidationException" and says_so
    )


def answered(answer: Mapping[str, Any]) -> datetime:
    """AWS's own time of an answer, in whole seconds: no machine's clock may make what is young look old."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def busy(error: ClientError) -> bool:
    """True if another call is already at work on the resource."""
    sentence = message(error).lower()
    return "in-progress" in sentence or "already existing" in sentence


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` as (bucket, "a/b")."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def sentence(error: ClientError) -> str:
    """What AWS refused and why, in one line; for access denied AWS's own message names action and resource."""
    return f"AWS refused {error.operation_name}: {code(error)}: {message(error)}"


@contextmanager
def explained() -> Iterator[None]:
    """Turns what boto3 raises into one line for the user; ExpiredError where the credentials have ended."""
    try:
        yield
    except ClientError as error:
        if code(error) in EXPIRED:
            raise ExpiredError(f"{sentence(error)}; the credentials ended, run it again with new ones") from error
        raise GitopsError(f"{sentence(error)}; see the role's policy and the name") from error
    except BotoCoreError as error:  # no credentials, no such host, a parameter of the wrong shape
        raise GitopsError(f"AWS cannot be asked: {error}; check credentials, region and AWS_ENDPOINT_URL") from error

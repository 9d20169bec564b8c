"""What SageMaker knows of a pipeline's past runs, asked where there are credentials; never waits for a network."""

from collections.abc import Callable
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gitops import aws
from gitops.errors import GitopsError
from gitops.planning import quarantine
from gitops.planning.estimates import History, from_executions
from gitops.planning.quarantine import Prepared

SECONDS = 5  # a plan can do without
Found = TypeVar("Found")
Client = Callable[[str], Any]


def ask(pipeline: str, region: str) -> History | None:
    """How long its steps took; None without credentials or runs. Raises GitopsError when AWS cannot be asked."""

    def look(client: Client) -> History:
        return from_executions(client("sagemaker"), pipeline)

    found = _asked((pipeline, region), look, History(), "times are those of releases/")
    return found if found and found.seconds else None


def prepared(pipeline: str, region: str) -> list[Prepared] | None:
    """What its runs counted of their data; None without credentials. Raises GitopsError when AWS cannot be asked."""

    def look(client: Client) -> list[Prepared]:
        return quarantine.from_executions(client("sagemaker"), client("s3"), pipeline)

    return _asked((pipeline, region), look, list[Prepared](), "what was quarantined is as releases/ says")


def _asked(where: tuple[str, str], look: Callable[[Client], Found], never: Found, otherwise: str) -> Found | None:
    """What `look` finds; None without credentials, `never` where the pipeline was never started."""
    pipeline, region = where
    session = _session(region)
    if session is None:
        return None
    config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2})
    try:
        return look(lambda name: session.client(name, region_name=region, config=config))
    except ClientError as error:
        if aws.missing(error):
            return never
        raise GitopsError(f"{pipeline}: {aws.sentence(error)}; {otherwise}") from error
    except BotoCoreError as error:
        raise GitopsError(f"{pipeline}: AWS cannot be asked ({error}); {otherwise}") from error


def _session(region: str) -> Any:
    """A boto3 session; None without credentials. An instance's own are not looked for: that would ask a network."""
    import boto3
    from botocore.session import Session

    core = Session()
    resolver = core.get_component("credential_provider")
    resolver.remove("iam-role")
    try:
        if resolver.load_credentials() is None:
            return None
    except BotoCoreError:  # a profile that is not there, a token file that cannot be read
        return None
    return boto3.Session(botocore_session=core, region_name=region)

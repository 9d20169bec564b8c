"""How long a pipeline's steps took, asked of SageMaker where there are credentials; never waits for a network."""

from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gitops import aws
from gitops.errors import GitopsError
from gitops.planning.estimates import History, from_executions

SECONDS = 5  # a plan can do without


def ask(pipeline: str, region: str) -> History | None:
    """The pipeline's history; None without credentials or runs. Raises GitopsError when AWS cannot be asked."""
    session = _session(region)
    if session is None:
        return None
    config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2})
    try:
        found = from_executions(session.client("sagemaker", region_name=region, config=config), pipeline)
    except ClientError as error:
        if aws.missing(error):
            return None  # the pipeline was never started
        raise GitopsError(f"{pipeline}: {aws.sentence(error)}; times are those of releases/") from error
    except BotoCoreError as error:
        raise GitopsError(f"{pipeline}: AWS cannot be asked ({error}); times are those of releases/") from error
    return found if found.seconds else None


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

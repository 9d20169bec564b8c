"""What a recovery knows of an endpoint that it is about to delete: in S3 beside the leases, so that it is not lost."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.delivery.lease import PREFIX
from gitops.errors import GitopsError
from gitops.oncall.live import Live

GONE = "Deleted"  # no state of SageMaker's: the endpoint is not there, and a recovery had not put it back yet


@dataclass(frozen=True)
class Unfinished:
    """The note of one endpoint. No model's name has a dot, and the deploy role may write such a key."""

    s3: Any
    bucket: str
    project: str
    model: str
    environment: str

    @property
    def key(self) -> str:
        return f"{PREFIX}/{self.project}-{self.model}.recovery-{self.environment}.json"

    def note(self, live: Live | None) -> None:
        """What was there before the deletion; None: the endpoint is back."""
        document = {**asdict(live), "status": GONE} if live else None
        self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=json.dumps(document, sort_keys=True).encode())

    def read(self) -> Live | None:
        """What a recovery that was killed had noted; None if none was."""
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
            document = json.loads(body)
            return Live(**document) if document else None
        except ClientError as error:
            if not aws.missing(error):
                raise
            return None
        except (ValueError, TypeError) as error:
            raise GitopsError(f"s3://{self.bucket}/{self.key}: is no note of a recovery; delete it") from error

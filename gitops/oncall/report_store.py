"""Where reports lie: as evaluation left them, and with their run, as reports/<release>.html of the same bucket."""

from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError
from gitops.oncall import run_report

OUTPUT, NAME = "evaluation", "report.html"  # the output that has the evidence, and the report in it
FOLDER = "reports"
LARGEST = 4 * 2**20  # bytes of a report that is read; evaluation writes less than two MiB


def evaluated(sagemaker: Any, s3: Any, arn: str) -> str | None:
    """The report that evaluation left; None if no step of the execution came so far."""
    for step in reversed(run_report.listed(sagemaker, arn)):
        job = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
        uri = _output(sagemaker, job.rpartition("/")[2]) if job else None
        if uri and step["StepStatus"] == "Succeeded":
            return read(s3, f"{uri.rstrip('/')}/{NAME}")
    return None


def _output(sagemaker: Any, job: str) -> str | None:
    outputs = sagemaker.describe_processing_job(ProcessingJobName=job).get("ProcessingOutputConfig", {})
    found = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs.get("Outputs", [])}
    return found.get(OUTPUT)


def read(s3: Any, uri: str) -> str:
    """A report that leaves room for its run. Raises GitopsError for anything else."""
    bucket, key = aws.split_uri(uri)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST + 1)
    except ClientError as error:
        raise GitopsError(f"{uri}: cannot be read ({aws.sentence(error)}); run the evaluation again") from error
    text = bytes(body).decode("utf-8", errors="replace")
    if len(body) > LARGEST or not run_report.PLACE.search(text):
        raise GitopsError(f"{uri}: is no report that this program can complete; run the evaluation again")
    return text


def complete(s3: Any, uri: str, run: run_report.Run, release: str) -> str:
    """Store the report at `uri` with its run in it, as the release's; where it lies. The same run gives the same bytes.

    Raises GitopsError.
    """
    text = run_report.whole(read(s3, uri), run)
    bucket, _ = aws.split_uri(uri)
    key = f"{FOLDER}/{release}.html"
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/html; charset=utf-8")
    except ClientError as error:
        raise GitopsError(
            f"s3://{bucket}/{key}: cannot be written ({aws.code(error)}); see the role's policy"
        ) from error
    return f"s3://{bucket}/{key}"

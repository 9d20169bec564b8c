"""What happens inside a batch transform job: one server, all files of the input through it, one output for each."""

import gzip
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import job as jobs
from . import transfers
from .ending import ended
from .exchange import Call, Reply
from .fleet import SCALE, STARTUP_SECONDS
from .job import Job, JobError
from .server import Server, ServerError, Spec
from .store import Row, folder, now
from .transform_records import PayloadError, assembled, in_order, payloads

if TYPE_CHECKING:
    from ..cloud import Cloud

GROUP = "/aws/sagemaker/TransformJobs"
INVOKE_SECONDS, RETRIES = 600, 3
RETRY_SECONDS = 0.25
STOP_POLL_SECONDS = 0.1


class _FileError(Exception):
    """A file that could not be transformed. `side` is whose fault it is, the text is for the job's log."""

    def __init__(self, side: str, message: str) -> None:
        super().__init__(message)
        self.side = side


class _Stopped(Exception):  # noqa: N818 it is no error
    """The job was stopped."""


@dataclass(frozen=True)
class _Work:
    """A job while it runs."""

    cloud: "Cloud"
    job: Job
    server: Server
    base: Path
    headers: dict[str, str] = field(default_factory=dict)


def run(cloud: "Cloud", job: Job, container: Row) -> None:
    """Take a job from InProgress to Completed, Failed or Stopped."""
    base = folder(cloud, "transform", job.name)
    with ended(job, base, lambda reason: _end(cloud, job, "Failed", FailureReason=reason)):
        try:
            jobs.change(cloud, job)
            _transform(cloud, job, container, base)
        except _Stopped:
            _end(cloud, job, "Stopped")
        except ServerError as error:
            _end(cloud, job, "Failed", FailureReason=f"AlgorithmError: {error}"[: jobs.REASON_LENGTH])


def _transform(cloud: "Cloud", job: Job, container: Row, base: Path) -> None:
    source = job.row["TransformInput"]["DataSource"]["S3DataSource"]
    transfers.download(cloud, source["S3Uri"], source["S3DataType"], base / "input")
    with _server(cloud, job, container) as server:
        jobs.change(cloud, job, TransformStartTime=now())
        work = _Work(cloud, job, server, base, _headers(job.row))
        files = sorted(path for path in (base / "input").rglob("*") if path.is_file())
        failures = [error for path in files if (error := _attempt(work, path))]
    if failures:
        raise JobError(f"{failures[0].side}: See job logs for more information")
    _end(cloud, job, "Stopped" if job.stop.is_set() else "Completed")


@contextmanager
def _server(cloud: "Cloud", job: Job, container: Row) -> Iterator[Server]:
    row = job.row
    environment = {
        **container.get("Environment", {}),
        **row.get("Environment", {}),
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": row["BatchStrategy"],
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(row["MaxPayloadInMB"]),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(row["MaxConcurrentTransforms"]),
    }
    seconds = float(row.get("ModelClientConfig", {}).get("InvocationsTimeoutInSeconds", INVOKE_SECONDS))
    spec = Spec(
        subject=f"transform job {job.name}",
        log=(GROUP, job.name),
        container={**container, "Environment": environment},
        seconds=STARTUP_SECONDS / SCALE,
        answer_seconds=seconds,
    )
    server = Server(cloud, spec)
    cloud.spawn(lambda: _stop_early(job, server), f"stop {job.name}")
    try:
        server.start()
        yield server
    except ServerError:
        if job.stop.is_set():
            raise _Stopped from None
        raise
    finally:
        server.stop()


def _stop_early(job: Job, server: Server) -> None:
    """A job that is stopped does not wait for the answers to what it has asked."""
    while not job.finished.wait(STOP_POLL_SECONDS):
        if job.stop.is_set():
            server.stop()
            return


def _attempt(work: _Work, path: Path) -> _FileError | None:
    """Transform one file and upload its output, all of it or nothing; why not, if not. The others go on."""
    relative = path.relative_to(work.base / "input").as_posix()
    output = work.base / "output" / f"{relative}.out"
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        _answer_file(work, path, output)
    except _FileError as error:
        work.cloud.log(GROUP, f"{work.job.name}/data-log", [f"{relative}: {error}"])
        return error
    target = work.job.row["TransformOutput"]["S3OutputPath"].rstrip("/")
    transfers.upload(work.cloud, output, f"{target}/{relative}.out")
    output.unlink()
    return None


def _answer_file(work: _Work, path: Path, output: Path) -> None:
    row, threads = work.job.row, max(work.job.row["MaxConcurrentTransforms"], 1)
    given, limit = row["TransformInput"], row["MaxPayloadInMB"] * 1024 * 1024
    try:
        with _opened(path, given) as lines, output.open("wb") as sink, ThreadPoolExecutor(threads) as pool:
            bodies = payloads(lines, given.get("SplitType", "None"), row["BatchStrategy"], limit)
            answers = in_order(bodies, lambda body: pool.submit(_ask, work, body), 2 * threads)
            sink.writelines(assembled(answers, row["TransformOutput"].get("AssembleWith", "None")))
    except PayloadError as error:
        raise _FileError("ClientError", str(error)) from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise _FileError("ClientError", f"cannot be read as Gzip: {error}") from error


def _opened(path: Path, given: Row) -> gzip.GzipFile | IO[bytes]:
    return gzip.GzipFile(path) if given.get("CompressionType", "None") == "Gzip" else path.open("rb")


def _ask(work: _Work, body: bytes) -> bytes:
    """The container's answer, asked again if it could not give one."""
    retries = work.job.row.get("ModelClientConfig", {}).get("InvocationsMaxRetries", RETRIES)
    for attempt in range(retries + 1):
        if work.job.stop.is_set():
            raise _Stopped
        reply = work.server.ask("POST", "/invocations", Call(body, work.headers))
        if reply.succeeded:
            return reply.body
        if 0 < reply.status < 500:
            break
        if attempt < retries:
            time.sleep(RETRY_SECONDS * 2**attempt)
    raise _FileError("ClientError" if 400 <= reply.status < 500 else "AlgorithmError", _said(reply))


def _said(reply: Reply) -> str:
    text = reply.body.decode(errors="replace")[: jobs.REASON_LENGTH]
    return f"Bad HTTP status received from algorithm: {reply.status}, {text}" if reply.status else text


def _headers(row: Row) -> dict[str, str]:
    found = {"Content-Type": row["TransformInput"].get("ContentType"), "Accept": row["TransformOutput"].get("Accept")}
    return {name: value for name, value in found.items() if value}


def _end(cloud: "Cloud", job: Job, status: str, **members: Any) -> None:
    jobs.change(cloud, job, TransformJobStatus=status, TransformEndTime=now(), **members)

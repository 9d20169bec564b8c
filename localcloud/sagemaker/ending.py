"""The end of a job that runs: whatever happens in it, it does not stay in progress, and its folder goes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..service import CloudError
from . import job as jobs
from . import transfers
from .job import Job, JobError

INTERNAL = "InternalServerError: We encountered an internal error. Please try again."


@contextmanager
def ended(job: Job, base: Path, fail: Callable[[str], None]) -> Iterator[None]:
    """Call `fail` with the FailureReason of what is raised inside; a fault of localcloud's own is raised again."""
    try:
        yield
    except (JobError, transfers.TransferError, CloudError) as error:
        fail(jobs.explain(error)[: jobs.REASON_LENGTH])
    except Exception:
        fail(INTERNAL)
        raise
    finally:
        shutil.rmtree(base, ignore_errors=True)
        job.finished.set()

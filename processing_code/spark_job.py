"""prepare.py on a cluster: EMR, Glue, or any spark-submit. Reads and writes S3 or any other address pyarrow knows.

    python -m zipfile -c processing_code.zip processing_code/*.py processing_code/*.sql
    spark-submit --py-files processing_code.zip spark_job.py --lock s3://b/locks/<sha256>/lock.json --data s3://b \
        --output s3://b/prepared/run --columns '{"user": ..., "item": ..., "time": ...}'

Below the output are train/, holdout/ and report/, the bytes that prepare.py would have written; report/manifest.json
comes last. The nodes need numpy, pandas and pyarrow. As a Glue job the arguments are the same, with underscores.
"""

import argparse
import difflib
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import spark_engine
from engines import run
from outputs import Places, Prepared, finish
from partitions import Lock, read_lock
from prepare import parser, settings, work
from problems import ProcessingError, exit_code
from pyarrow import fs

PLACES = ("lock", "data", "output")
ABSENT = "absent"
CHUNK = 1 << 20  # bytes


def spark_job(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises ProcessingError for what is wrong with the data or the arguments."""
    given = arguments(sys.argv[1:] if argv is None else argv)
    with tempfile.TemporaryDirectory(prefix="prepared-") as scratch:
        folder = Path(scratch)
        lock = fetch_lock(given.lock, folder)
        task = work(given, lock, given.data)
        verify(lock, given.data, task.files)
        places = Places(*(folder / name for name in ("train", "holdout", "report")))
        try:
            finish(Prepared(lock, settings(given), run("spark", task)), places)
            for name in ("train", "holdout"):
                put(folder / name, f"{given.output}/{name}")
        finally:
            put(places.report, f"{given.output}/report")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line; in Glue, what Glue resolves of it."""
    known = parser(__doc__)
    for name in PLACES:
        known.add_argument(f"--{name}", required=True, help="an address such as s3://bucket/key")
    return known.parse_args(resolved(words, known))


def resolved(words: Sequence[str], known: argparse.ArgumentParser) -> list[str]:
    """The words as they are, or Glue's: its own options are taken out, and names have underscores."""
    try:
        from awsglue.utils import getResolvedOptions
    except ModuleNotFoundError:
        return list(words)
    names = [action.dest for action in known._actions if action.dest != "help"]
    present = [name for name in names if any(word.partition("=")[0] == f"--{name}" for word in words)]
    options = getResolvedOptions(["spark_job.py", *words], present)
    return [part for name in present for part in (f"--{name.replace('_', '-')}", options[name])]


def located(address: str) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path there."""
    return fs.FileSystem.from_uri(address) if "://" in address else (fs.LocalFileSystem(), address)


def fetch_lock(address: str, folder: Path) -> Lock:
    """The data lock. Raises ProcessingError when there is none."""
    system, path = located(address)
    try:
        with system.open_input_stream(path) as stream:
            (folder / "lock.json").write_bytes(stream.read())
    except OSError as error:
        raise ProcessingError(f"{address}: cannot be read ({error}); the data lock belongs here as JSON") from error
    return read_lock(folder)


def verify(lock: Lock, data: str, files: Sequence[str]) -> None:
    """Compare every partition with the lock, each in one task. Raises ProcessingError for the first that differs."""
    frame = (
        spark_engine.start()
        .range(0, len(files), 1, len(files))
        .mapInArrow(hasher(list(files)), "part int, digest string")
    )
    found = {row["part"]: row["digest"] for row in frame.collect()}
    for part, one in enumerate(lock.partitions):
        if found[part] == ABSENT:
            raise ProcessingError(f"{one.key}: partition is not there{nearest(one.key, data)}")
        if found[part] != one.sha256:
            raise ProcessingError(f"{one.key}: sha256 is {found[part]}; the data lock says {one.sha256}")


def hasher(files: list[str]) -> Any:
    """What a task does with the numbers of its files."""

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            parts = batch.column(0).to_pylist()
            digests = [sha256(files[part]) for part in parts]
            yield pa.record_batch([pa.array(parts, pa.int32()), pa.array(digests)], names=["part", "digest"])

    return rows


def sha256(file: str) -> str:
    """The digest of a file, or ABSENT."""
    system, path = located(file)
    if system.get_file_info(path).type != fs.FileType.File:
        return ABSENT
    digest = hashlib.sha256()
    with system.open_input_stream(path, compression=None) as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def nearest(key: str, data: str) -> str:
    """What exists of the same data set, for the error message."""
    system, path = located(data)
    dataset = "/".join(key.split("/")[:2])
    listed = system.get_file_info(fs.FileSelector(f"{path}/{dataset}", recursive=True, allow_not_found=True))
    existing = [one.path.removeprefix(f"{path}/") for one in listed if one.type == fs.FileType.File]
    close = difflib.get_close_matches(key, existing, n=1, cutoff=0)
    return f"; the nearest that exists is {close[0]}" if close else f"; nothing is below {data}/{dataset}"


def put(folder: Path, address: str) -> None:
    """Copy a folder's files, those whose name is manifest.json last."""
    system, path = located(address)
    system.create_dir(path, recursive=True)
    for file in sorted(folder.glob("*"), key=lambda one: one.name == "manifest.json"):
        with system.open_output_stream(f"{path}/{file.name}", compression=None) as stream:
            stream.write(file.read_bytes())


if __name__ == "__main__":
    sys.exit(exit_code(spark_job))

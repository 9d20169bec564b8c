"""The data lock: python -m gitops data params/ncf.yml --add raw/<dataset>/week=2017-40/part-0.parquet

Reads each object once, and locks what it is (bytes, sha256, rows). Partitions are write-once: a key in the
lock keeps its digest, other data gets another key.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError
from pipelines import models, params, rewriting
from pipelines.names import LOCK_PATH
from pipelines.params import Partition

CHUNK = 1024 * 1024
LISTED = 10_000  # keys looked at for the nearest existing one


def measure(s3: Any, bucket: str, key: str) -> Partition:
    """What the object at `key` is; GitopsError naming the nearest existing key if there is none."""
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        try:
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            for chunk in body.iter_chunks(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
        except ClientError as error:
            if not aws.missing(error):
                raise
            raise GitopsError(f"s3://{bucket}/{key}: is not there; {_nearest(s3, bucket, key)}") from error
        found = {"key": key, "sha256": digest.hexdigest(), "bytes": size, "rows": _rows(file, f"s3://{bucket}/{key}")}
        return models.parse(Partition, Path(key), found)


def _rows(file: Any, where: str) -> int:
    """Rows by a Parquet file's footer (its columns are not read), or by reading a CSV file."""
    import pyarrow
    from pyarrow import parquet

    kind = "CSV" if where.endswith((".csv", ".csv.gz")) else "Parquet"
    file.seek(0)
    try:
        return _csv_rows(file, where) if kind == "CSV" else int(parquet.ParquetFile(file).metadata.num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise GitopsError(f"{where}: is not a {kind} file; upload it again, under another key") from error


def _csv_rows(file: Any, where: str) -> int:
    """Lines after the names, those with too few or too many fields too: prepare.py counts and quarantines them."""
    import pyarrow
    from pyarrow import csv

    torn = 0

    def skip(row: Any) -> str:
        nonlocal torn
        torn += 1
        return "skip"

    with pyarrow.input_stream(file, compression="gzip" if where.endswith(".gz") else None) as stream:
        reader = csv.open_csv(
            stream,
            # the line of names is the first row, of columns f0, f1 and so on
            read_options=csv.ReadOptions(use_threads=False, block_size=64 << 20, autogenerate_column_names=True),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(include_columns=["f0"], column_types={"f0": pyarrow.binary()}),
        )
        rows: int = sum(batch.num_rows for batch in reader)
        return rows + torn - 1


def _nearest(s3: Any, bucket: str, key: str) -> str:
    prefix = "/".join(key.split("/")[:2]) + "/" if key.count("/") > 1 else "raw/"
    keys: list[str] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys += [each["Key"] for each in page.get("Contents", ())]
        if len(keys) >= LISTED:
            break
    match = get_close_matches(key, keys, n=1, cutoff=0.0)
    return f"the nearest that exists is {match[0]}" if match else f"there is nothing under {prefix}"


def keys_of(manifest: Any, bucket: str, where: str) -> list[str]:
    """The keys a SageMaker manifest lists: [{"prefix": "s3://bucket/"}, "raw/...", ...]."""
    try:
        head, *names = manifest
        prefix = str(head["prefix"])
    except (TypeError, KeyError, ValueError) as error:
        raise GitopsError(f'{where}: is no manifest; write [{{"prefix": "s3://{bucket}/"}}, "raw/...", ...]') from error
    if not names or not all(isinstance(name, str) for name in names):
        raise GitopsError(f"{where}: lists no keys; write them as text after the prefix")
    return [bare(prefix + name, bucket) for name in names]


def bare(key: str, bucket: str) -> str:
    """The key without an s3://bucket/ in front; GitopsError for another bucket."""
    if not key.startswith("s3://"):
        return key
    other, rest = aws.split_uri(key)
    if other != bucket:
        raise GitopsError(f"{key}: is in another bucket; data is read from s3://{bucket}/")
    return rest


def manifest(s3: Any, bucket: str, name: str) -> list[str]:
    """The keys in a manifest: a file here, else an object of the bucket."""
    file = Path(name)
    try:
        if not name.startswith("s3://") and file.is_file():
            text: str | bytes = file.read_text(encoding="utf-8")
        else:
            text = s3.get_object(Bucket=bucket, Key=bare(name, bucket))["Body"].read()
        return keys_of(json.loads(text), bucket, name)
    except ValueError as error:
        raise GitopsError(f"{name}: is not JSON ({error}); write a SageMaker manifest") from error
    except ClientError as error:
        if not aws.missing(error):
            raise
        raise GitopsError(f"{name}: is neither a file here nor a key of s3://{bucket}; correct its spelling") from error


def merged(locked: Iterable[Partition], added: Iterable[Partition]) -> list[Partition]:
    """Both, sorted by key; GitopsError if a locked key now has other bytes."""
    by_key: dict[str, Partition] = {partition.key: partition for partition in locked}
    for partition in added:
        before = by_key.setdefault(partition.key, partition)
        if before.sha256 != partition.sha256:
            raise GitopsError(
                f"{partition.key}: is locked with sha256 {before.sha256[:12]}…, the object has "
                f"{partition.sha256[:12]}…; partitions are write-once, upload other data under another key"
            )
    return sorted(by_key.values(), key=lambda partition: partition.key)


def render(dataset: str, reason: str, partitions: Iterable[Partition], comments: Iterable[str] = ()) -> str:
    """The lock file's text: one line a partition, so that a diff shows what came."""
    lines = [*comments, f"dataset: {dataset}", f"reason: {reason}", "partitions:"]
    lines += [
        f'  - {{key: "{each.key}", sha256: "{each.sha256}", bytes: {each.bytes}, rows: {each.rows}}}'
        for each in partitions
    ]
    return "\n".join(lines) + "\n"


def lock_path(params_file: Path, root: Path) -> Path:
    """Where the params' data lock lies. Other keys of params are not this command's business."""
    from pipelines import documents

    named = documents.load(params_file).get("data")
    if not isinstance(named, str) or not re.fullmatch(LOCK_PATH, named):
        raise GitopsError(f"{params_file}: data: must be the path of the data lock, for example params/ncf.data.yml")
    return root / named


def add(lock: Path, found: Iterable[Partition], words: Mapping[str, str]) -> tuple[int, int]:
    """Add the partitions to the lock file, all or nothing: (how many are new, how many there are).

    `words`: dataset (empty: the lock's own, or what the first key says) and reason.
    """
    added = list(found)
    before = params.load_lock(lock) if lock.exists() else None
    locked = before.partitions if before else ()
    dataset = words["dataset"] or (before.dataset if before else added[0].key.split("/")[1])
    if before and before.dataset != dataset:
        raise GitopsError(f"{lock}: locks {before.dataset}, not {dataset}; give another data set its own lock file")
    partitions = merged(locked, added)
    new = len(partitions) - len(locked)
    if new:
        top = comments(lock.read_text(encoding="utf-8")) if before else []
        text = render(dataset, words["reason"], partitions, top)
        params.load_lock(lock, text)  # what is written can be read
        rewriting.replace(lock, text)
    return new, len(partitions)


def comments(text: str) -> list[str]:
    """The comment lines that a person put on top of a lock file."""
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:end]

"""interactions.sql in Spark SQL: in this process's cores, or on the cluster that the session belongs to."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from engines import RESULTS, Work, blocks, said_by_the_reader
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from rows import read_one

RAW = "part int, user_id string, item_id string, occurred string, micros bigint, segment string, category string"
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def run(work: Work) -> dict[str, pa.Table]:
    """Run the blocks; those that are kept are computed once and may spill to disk."""
    session = start()
    kept = [read(session, work)]
    kept[0].createOrReplaceTempView("raw")
    names = ", ".join(f"{value!r} AS {name}" for name, value in work.settings.items())
    session.sql(f"SELECT {names}").createOrReplaceTempView("settings")
    try:
        for block in blocks(work.split):
            frame = session.sql(block.select)
            if block.kept:
                kept.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
            frame.createOrReplaceTempView(block.name)
        return {name: arrow(session.sql(query)) for name, query in RESULTS.items()}
    except PySparkException as error:
        raise said_by_the_reader(error) from error
    finally:
        for frame in kept:
            frame.unpersist()


def start() -> SparkSession:
    """The cluster's session where there is one (EMR, Glue), else one on this machine's cores."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else executors take whatever python3 there is
    builder = SparkSession.builder.appName("prepare")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    context = session.sparkContext
    context.setLogLevel("ERROR")
    if context.master.startswith("local"):  # the default of 200 is for a cluster
        session.conf.set("spark.sql.shuffle.partitions", str(context.defaultParallelism))
    for module in Path(__file__).parent.glob("*.py"):
        context.addPyFile(str(module))  # executors import them by these names
    return session


def read(session: SparkSession, work: Work) -> DataFrame:
    """The raw rows, each file read by one task."""
    parts = session.range(0, len(work.files), 1, len(work.files))
    frame = parts.mapInArrow(reader(work), RAW)
    return frame.persist(StorageLevel.MEMORY_AND_DISK)


def reader(work: Work) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does with the numbers of its files."""
    files, columns = work.files, dict(work.columns)

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part in batch.column(0).to_pylist():
                yield from read_one(part, files[part], columns)

    return rows


def arrow(frame: DataFrame) -> pa.Table:
    """A result on the driver. Spark 3 has no public way to it."""
    if hasattr(frame, "toArrow"):
        return frame.toArrow()
    batches = frame._collect_as_arrow()
    return pa.Table.from_batches(batches, frame.schema) if batches else frame.toPandas()

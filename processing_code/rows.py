"""Partitions as raw rows: ids as text and times as numbers, whatever file and column types they come in.

Every engine reads through here, so that all of them see the same rows.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from problems import ProcessingError
from pyarrow import fs

RAW = pa.schema([
    ("part", pa.int32()), ("user_id", pa.string()), ("item_id", pa.string()), ("occurred", pa.string()),
    ("micros", pa.int64()), ("segment", pa.string()), ("category", pa.string()),
])  # fmt: skip
UNREADABLE = "\ufffd"  # stands for what is not text, as decoders write it
WHOLE = 9e15  # whole numbers up to here are exact as floats
FIRST, LAST = -62_135_596_800, 253_402_300_800  # seconds: the years 1 to 9999
MICROS = 1_000_000
PER_SECOND = {"s": 1, "ms": 1000, "us": MICROS, "ns": 1_000_000_000}
BATCH = 131_072  # rows
BLOCK = 64 << 20  # bytes: a row of a CSV file must fit in


def read(files: Sequence[str], columns: Mapping[str, str]) -> pa.RecordBatchReader:
    """All rows of all files as RAW, in bounded memory. Raises ProcessingError for a file that cannot be read."""
    batches = (batch for part, file in enumerate(files) for batch in read_one(part, file, columns))
    return pa.RecordBatchReader.from_batches(RAW, batches)


def read_one(part: int, file: str, columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """The rows of one file (a path, or a URI such as s3://bucket/key), which is the part-th of the data lock."""
    system, path = fs.FileSystem.from_uri(file) if "://" in file else (fs.LocalFileSystem(), file)
    try:
        for batch in FORMATS[format_of(file)](system, path, list(dict.fromkeys(columns.values()))):
            if lacking := [name for name in columns.values() if batch.schema.get_field_index(name) < 0]:
                raise ProcessingError(f"{file}: has no column {lacking[0]!r}, or two (params: columns)")
            yield raw(part, batch, columns)
    except (pa.ArrowException, OSError) as error:
        raise ProcessingError(f"{file}: cannot be read ({one_line(error)})") from error


def format_of(file: str) -> str:
    """csv or parquet. Raises ProcessingError for another ending."""
    name = file.removesuffix(".gz")
    ending = name.rpartition(".")[2].lower()
    if ending not in FORMATS:
        raise ProcessingError(f"{file}: is neither .parquet nor .csv; import_data.py makes partitions of other files")
    return ending


def names_of(file: str) -> list[str]:
    """The column names of a local partition. Raises pa.ArrowException when it is not what its name says."""
    if format_of(file) == "parquet":
        return list(pq.read_schema(file).names)
    with pa.input_stream(file, compression="detect") as stream:
        return next(csv.reader(io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="")), [])


def parquet_batches(system: fs.FileSystem, path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A Parquet file's columns, row group by row group."""
    with system.open_input_file(path) as file:
        yield from pq.ParquetFile(file).iter_batches(BATCH, columns=columns)


def csv_batches(system: fs.FileSystem, path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A CSV file's columns as bytes; each line with too few or too many fields becomes an unreadable row."""
    torn = 0

    def skip(row: pcsv.InvalidRow) -> str:
        nonlocal torn
        torn += 1
        return "skip"

    with system.open_input_stream(path, compression="detect") as stream:
        yield from csv_reader(stream, columns, skip)
    unreadable = pa.array([UNREADABLE.encode()] * torn, pa.binary())
    yield pa.record_batch([unreadable] * len(columns), names=columns)


def csv_reader(stream: Any, columns: list[str], handler: Callable[[Any], str]) -> pcsv.CSVStreamingReader:
    """Open a CSV file with a line of names, commas, and quotes where they are needed (RFC 4180)."""
    return pcsv.open_csv(
        stream,
        read_options=pcsv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=pcsv.ParseOptions(newlines_in_values=True, invalid_row_handler=handler),
        convert_options=pcsv.ConvertOptions(
            check_utf8=False, include_columns=columns, column_types=dict.fromkeys(columns, pa.binary())
        ),
    )


FORMATS: Mapping[str, Callable[[fs.FileSystem, str, list[str]], Iterator[pa.RecordBatch]]] = {
    "parquet": parquet_batches, "csv": csv_batches,
}  # fmt: skip


def raw(part: int, batch: pa.RecordBatch, columns: Mapping[str, str]) -> pa.RecordBatch:
    """One batch of the source as RAW."""
    rows = batch.num_rows
    found = {name: batch.column(batch.schema.get_field_index(column)) for name, column in columns.items()}
    occurred, micros = times(found["time"])
    labels = [text(found[name]) if name in found else pa.nulls(rows, pa.string()) for name in ("segment", "category")]
    part_column = pa.array(np.full(rows, part, np.int32))
    arrays = [part_column, text(found["user"]), text(found["item"]), occurred, micros, *labels]
    return pa.record_batch(arrays, schema=RAW)


def text(column: pa.Array) -> pa.Array:
    """An id or a label as text; what is neither text nor a number is UNREADABLE.

    A float column is how a gap turns whole numbers into 17.0 and NaN: back to 17 and to missing.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        number = column.cast(pa.float64())
        whole = pc.and_(pc.less(pc.abs(number), WHOLE), pc.equal(number, pc.floor(number)))
        return pc.if_else(whole, number, None).cast(pa.int64()).cast(pa.string())
    if is_text(kind):
        return decoded(column)
    return pc.if_else(column.is_valid(), UNREADABLE, pa.scalar(None, pa.string()))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text, or bytes that should be."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)  # fmt: skip
    return any(test(kind) for test in tests)


def decoded(column: pa.Array) -> pa.Array:
    """Text, with UNREADABLE in place of bytes that are not UTF-8."""
    try:
        found = column.cast(pa.string())
        found.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        return pa.array([value and value.decode("utf-8", "replace") for value in values], pa.string())
    return found


def times(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A time column as (text, null) where it is text, else (null, microseconds since 1970, UTC).

    Numbers are seconds since 1970. Times outside the years 1 to 9999 are none.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        return decoded(column), pa.nulls(len(column), pa.int64())
    return pa.nulls(len(column), pa.string()), micros_of(column)


def micros_of(column: pa.Array) -> pa.Array:
    """Timestamps, dates and numbers as microseconds; null for what is no time."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return scaled(column.cast(pa.int64()), PER_SECOND[kind.unit])
    if pa.types.is_date(kind):
        days = column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())
        return scaled(pc.multiply(days, 86_400), 1)
    if pa.types.is_integer(kind):
        if kind == pa.uint64():  # what is too large for int64 is no time either
            column = pc.if_else(pc.less(column, pa.scalar(LAST, kind)), column, None)
        return scaled(column.cast(pa.int64()), 1)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        number = column.cast(pa.float64())
        inside = pc.if_else(pc.and_(pc.greater_equal(number, FIRST), pc.less(number, LAST)), number, None)
        return pc.floor(pc.add(pc.multiply(inside, float(MICROS)), 0.5)).cast(pa.int64())
    return pa.nulls(len(column), pa.int64())


def scaled(number: pa.Array, per_second: int) -> pa.Array:
    """int64 in units of which `per_second` make a second, as microseconds; null outside the years 1 to 9999."""
    if per_second > MICROS:  # nanoseconds do not reach so far; rounded down, before 1970 too
        whole = pc.divide(number, 1000)
        return pc.if_else(pc.greater(pc.multiply(whole, 1000), number), pc.subtract(whole, 1), whole)
    inside = pc.and_(pc.greater_equal(number, FIRST * per_second), pc.less(number, LAST * per_second))
    return pc.multiply(pc.if_else(inside, number, None), MICROS // per_second)


def one_line(error: Exception) -> str:
    """An error's words without line breaks."""
    return " ".join(str(error).split())

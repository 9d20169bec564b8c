"""interactions.sql in DuckDB: one machine, all its cores, spilling to disk when memory is short."""

import tempfile

import duckdb
import pyarrow as pa
from engines import RESULTS, Work, blocks, said_by_the_reader
from rows import read

SPARKS = (
    "unix_micros(t) AS epoch_us(t)",
    "timestamp_micros(n) AS make_timestamp(n)",
    "regexp_like(t, pattern) AS regexp_matches(t, pattern)",
)


def run(work: Work) -> dict[str, pa.Table]:
    """Run the blocks, each kept as a table so that none is computed twice."""
    with tempfile.TemporaryDirectory(prefix="duckdb-") as spill, duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{spill}'; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute("SET preserve_insertion_order = false")
        for macro in SPARKS:
            connection.execute(f"CREATE MACRO {macro}")
        names = ", ".join(f"{value!r} AS {name}" for name, value in work.settings.items())
        connection.execute(f"CREATE TEMP TABLE settings AS SELECT {names}")
        connection.register("incoming", read(work.files, work.columns))
        try:
            connection.execute("CREATE TEMP TABLE raw AS SELECT * FROM incoming")
        except duckdb.Error as error:
            raise said_by_the_reader(error) from error
        for block in blocks(work.split):
            kind = "TABLE" if block.kept else "VIEW"
            connection.execute(f"CREATE TEMP {kind} {block.name} AS {block.select}")
        return {name: connection.sql(query).to_arrow_table() for name, query in RESULTS.items()}

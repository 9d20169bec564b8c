"""The demo's purchases: whole weeks, the same at every call, with structure to find."""

import io

import pyarrow.parquet as pq
import pytest

from demo import data


@pytest.fixture(scope="module")
def town() -> data.Dataset:
    return data.synthetic(households=200, products=100)


def test_weeks_hold_every_purchase_once(town: data.Dataset):
    assert sum(town.week(number).num_rows for number in range(data.WEEKS)) == town.purchases.num_rows


def test_a_partition_is_named_by_its_iso_week(town: data.Dataset):
    assert town.key(0) == "raw/synthetic/week=2017-29/part-0.parquet"
    assert town.key(13) == "raw/synthetic/week=2017-42/part-0.parquet"


def test_partitions_are_readable_parquet_with_the_columns_params_name(town: data.Dataset):
    ((key, body),) = town.partitions(range(3, 4))
    assert key == town.key(3)
    table = pq.read_table(io.BytesIO(body))
    assert tuple(table.column_names) == data.COLUMNS
    assert table.num_rows == town.week(3).num_rows


def test_two_calls_give_the_same_town(town: data.Dataset):
    assert data.synthetic(households=200, products=100).purchases.equals(town.purchases)


def test_households_shop_mostly_in_two_departments(town: data.Dataset):
    for products in list(data.baskets(town.purchases).values())[:20]:
        departments = sorted((int(product) - 1) // 5 for product in products)
        counts = sorted((departments.count(one) for one in set(departments)), reverse=True)
        assert sum(counts[:2]) > len(products) / 3  # of twenty departments


def test_first_time_purchases_are_those_never_made_before():
    town = data.synthetic(households=200, products=400)
    household, new = data.curious(town, 11)
    earlier = set().union(*(data.baskets(town.week(week)).get(household, set()) for week in range(11)))
    assert new
    assert new == data.baskets(town.week(11))[household] - earlier

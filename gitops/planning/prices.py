"""The dated price table: python -m gitops prices [--refresh]"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gitops import deployment
from gitops.errors import GitopsError
from pipelines import documents, models, params, rewriting
from pipelines.models import Section
from pipelines.names import Instance

FILE = Path(__file__).with_name("prices.yml")
API_REGION = "us-east-1"  # the price list is answered there, for every region
KINDS = {"Training", "Processing", "Hosting"}
HOURS_PER_MONTH = 730


class Prices(Section):
    """USD per hour on demand, by instance type."""

    as_of: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    region: str
    source: str
    hourly: dict[Instance, Annotated[float, Field(gt=0)]]

    def usd(self, instance_type: str, seconds: float, instances: int = 1) -> float | None:
        """What so many instances cost for so long; None for a type the table does not have."""
        hourly = self.hourly.get(instance_type)
        return None if hourly is None else hourly * instances * seconds / 3600

    @property
    def words(self) -> str:
        """Where the numbers come from."""
        return f"on-demand prices of {self.region} as of {self.as_of} ({self.source})"


def load(path: Path = FILE) -> Prices:
    """The table. Raises ProjectError when it is wrong."""
    return models.parse(Prices, path, documents.load(path))


@dataclass(frozen=True)
class Asked:
    """What a refresh asks for."""

    region: str
    types: frozenset[str]  # must have a price
    beside: frozenset[str]  # are kept where they have one
    today: date


def refresh(pricing: Any, asked: Asked) -> Prices:
    """The prices of the asked types, through AWS's price list. Raises GitopsError naming the types it does not have.

    Of a type's prices for training, processing and hosting the largest is taken; mostly they are one.
    """
    found = {name: _hourly(pricing, asked.region, name) for name in sorted(asked.types | asked.beside)}
    missing = [name for name in sorted(asked.types) if found[name] is None]
    if missing:
        raise GitopsError(f"{', '.join(missing)}: no price in {asked.region}; is the type offered there?")
    hourly = {name: price for name, price in found.items() if price is not None}
    return Prices(as_of=asked.today.isoformat(), region=asked.region, source="AWS price list", hourly=hourly)


def _hourly(pricing: Any, region: str, name: str) -> float | None:
    filters = {"regionCode": region, "instanceName": name, "productFamily": "ML Instance"}
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker",
        Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
    )
    products = [json.loads(product) for page in pages for product in page["PriceList"]]
    return max((price for product in products for price in _on_demand(product)), default=None)


def _on_demand(product: Mapping[str, Any]) -> Iterable[float]:
    """The hourly prices of one product of a kind that is used here."""
    attributes = product["product"]["attributes"]
    if (attributes.get("component") or attributes.get("platoinstancetype")) in KINDS:
        for term in product["terms"].get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                price = float(dimension["pricePerUnit"].get("USD", 0))
                if price and dimension.get("unit", "").lower().startswith("h"):
                    yield price


def used(root: Path) -> frozenset[str]:
    """Every instance type that params and deploy files name, and those of params' defaults."""
    files = [file for file in (root / "params").glob("*.yml") if not file.name.endswith(".data.yml")]
    given = [params.load(file) for file in sorted(files)]
    found = {part.instance_type for one in given for part in (one.prepare, one.train, one.evaluate)}
    served = (deployment.load(file) for file in sorted((root / "deploy").glob("*/[!_]*.yml")))
    return frozenset(found | {one.serving.instance_type for one in served})


def write(prices: Prices, path: Path = FILE) -> None:
    """Replace the table, whole or not at all."""
    rewriting.replace(path, render(prices, path.read_text(encoding="utf-8")))


def render(prices: Prices, before: str) -> str:
    """The table as its file's text; the comment at the top of `before` stays."""
    comment = [line for line in before.splitlines() if line.startswith("#")]
    facts = [f'as_of: "{prices.as_of}"', f"region: {prices.region}", f"source: {prices.source}", "hourly:"]
    rows = [f"  {name}: {price:g}" for name, price in sorted(prices.hourly.items())]
    return "\n".join([*comment, *facts, *rows, ""])

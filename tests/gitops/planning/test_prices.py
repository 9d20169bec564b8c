import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from gitops.__main__ import main
from gitops.errors import GitopsError
from gitops.planning import prices
from gitops.planning.prices import Asked, Prices

TABLE = {("eu-west-1", "ml.m5.xlarge"): {"Training": "0.257", "Hosting": "0.257", "Notebook": "9"}}


class PriceList(BaseHTTPRequestHandler):
    """AWS's price list as far as GetProducts of SageMaker's instances."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = {one["Field"]: one["Value"] for one in asked["Filters"]}
        found = TABLE.get((wanted["regionCode"], wanted["instanceName"]), {})
        products = [
            {
                "product": {"attributes": {"platoinstancetype": kind}},
                "terms": {
                    "OnDemand": {"t": {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}},
                },
            }
            for kind, usd in found.items()
        ]
        body = json.dumps({"FormatVersion": "aws_v1", "PriceList": [json.dumps(one) for one in products]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def pricing() -> Iterator[object]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), PriceList)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield boto3.client(
        "pricing",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    server.shutdown()
    server.server_close()


def asked(*types: str, beside: tuple[str, ...] = ()) -> Asked:
    return Asked("eu-west-1", frozenset(types), frozenset(beside), date(2026, 11, 21))


def test_a_refresh_takes_the_price_of_the_jobs_that_are_used_here(pricing):
    found = prices.refresh(pricing, asked("ml.m5.xlarge", beside=("ml.p3.2xlarge",)))
    assert found.hourly == {"ml.m5.xlarge": 0.257}
    assert (found.region, found.as_of, found.source) == ("eu-west-1", "2026-11-21", "AWS price list")


def test_a_type_without_a_price_is_named(pricing):
    with pytest.raises(GitopsError, match=r"ml\.p3\.2xlarge: no price in eu-west-1"):
        prices.refresh(pricing, asked("ml.p3.2xlarge"))


def test_the_table_is_read_as_it_was_written_and_keeps_its_comment(tmp_path):
    path = tmp_path / "prices.yml"
    path.write_text("# why\nas_of: old\n")
    known = Prices(as_of="2026-11-21", region="eu-west-1", source="AWS price list", hourly={"ml.m5.xlarge": 0.257})
    prices.write(known, path)
    assert prices.load(path) == known
    assert path.read_text().startswith("# why\n")


def test_the_table_that_ships_says_what_it_is_and_knows_the_types_of_this_project():
    known = prices.load()
    assert prices.used(prices.FILE.parents[1]) <= set(known.hourly)
    assert known.as_of in known.words


def test_cost_is_by_instance_and_second_and_unknown_without_a_price():
    known = Prices(as_of="2026-11-21", region="r", source="s", hourly={"ml.m5.xlarge": 0.36})
    assert known.usd("ml.m5.xlarge", 100, 2) == pytest.approx(0.02)
    assert known.usd("ml.m5.large", 100) is None


def test_a_refresh_that_cannot_reach_aws_says_so_and_changes_nothing(monkeypatch, capsys):
    before = prices.FILE.read_bytes()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert main(["prices", "--refresh"]) == 1
    assert "AWS cannot be asked" in capsys.readouterr().err
    assert prices.FILE.read_bytes() == before

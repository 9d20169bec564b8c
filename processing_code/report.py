"""What evaluation leaves: decision.json, report.html (page.py), metrics.csv, evaluation.json and latency.json.

decision.json says what was decided and why, equal bytes for equal inputs. An interval is {value, low, high}, null
where there is none; `metrics` is metric -> interval.

    verdict, register, reasons, reason     pass | fail | inconclusive; whether it goes on; why, as a list and one text
    findings                               every rule of the gate: verdict, finding and rule in words, value, low, high,
                                           users
    model, archive_sha256, metrics         the model proposed, which has the best validation in its manifest
    models.<name>                          every model: archive_sha256, bytes, validation, metrics
    failures.<name>                        why a model was not trained
    champion                               null, or archive_sha256, data_through, metrics, difference (metrics)
    baselines.<name>                       a tuned baseline's metrics
    tuning.<name>                          its settings, their validation, and difference: the proposed model minus it
    skipped.<name>                         why a baseline was not measured
    slices.<name>                          users, and metrics of the proposed model among them
    changes                                null, or how the lists differ from the champion's (turnover.py)
    data                                   null, or what prepare counted: counts, and quarantine by reason
    drift                                  null, or how far the data is from the champion's (drift.py)
    golden                                 the archive's golden requests, asked of its own graph: asked, right, wrong
    users, split, gate                     holdout users; how it was split; the rules

metrics.csv has every number with its interval, evaluation.json the proposed model's in SageMaker's model-quality
layout (quality.py), models/<name>.json each model's, which registration shows, and latency.json milliseconds, which
no two runs have in common: nothing is decided by them.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import golden
from assessment import Assessment, Measured
from channels import Data
from contest import CHAMPION, Contest, baseline
from drift import drift
from gate import Decision, Finding
from intervals import Interval
from model_archive import ModelArchive
from quality import Row, quality, read_metrics, write_metrics
from rules import Rules
from tables import finite, write_json


def record(contest: Contest, found: Assessment, data: Data, rules: Rules) -> dict[str, Any]:
    """decision.json but for the decision."""
    return {
        "model": contest.proposed,
        "archive_sha256": contest.archive.sha256,
        "metrics": shown(found.metrics[contest.proposed]),
        "models": {
            name: {
                "archive_sha256": archive.sha256,
                "bytes": archive.bytes,
                "validation": archive.validation,
                "metrics": shown(found.metrics[name]),
            }
            for name, archive in contest.candidates.archives.items()
        },
        "failures": contest.candidates.failures,
        "champion": champion_record(contest.champion.archive, found),
        "baselines": {name: shown(found.metrics[baseline(name)]) for name in contest.fitted},
        "tuning": {
            name: {
                "settings": one.settings,
                "validation": one.validation,
                "difference": shown(found.differences[baseline(name)]),
            }
            for name, one in contest.fitted.items()
        },
        "skipped": contest.skipped,
        "slices": {name: {"users": one.users, "metrics": shown(one.metrics)} for name, one in found.slices.items()},
        "changes": found.turnover.record(len(data.holdout.users)) if found.turnover else None,
        "drift": drift(data.train, contest.champion.archive) if contest.champion.archive else None,
        "golden": golden.check(contest.archive),
        "users": len(data.holdout.users),
        "split": data.split,
        "gate": rules,
    }


def champion_record(archive: ModelArchive | None, found: Assessment) -> dict[str, Any] | None:
    """The champion; one that cannot be compared has no metrics."""
    if archive is None:
        return None
    return {
        "archive_sha256": archive.sha256,
        "data_through": archive.data_through,
        "metrics": shown(found.metrics[CHAMPION]) if CHAMPION in found.metrics else None,
        "difference": shown(found.differences[CHAMPION]) if CHAMPION in found.differences else None,
    }


def shown(metrics: Measured) -> dict[str, dict[str, float]]:
    """Intervals as JSON."""
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in metrics.items()}


def rows(contest: Contest, found: Assessment, data: Data) -> Iterator[Row]:
    """metrics.csv: each contestant's metrics, and the proposed one's in the slices as <slice>/<metric>."""
    for model, metrics in found.metrics.items():
        yield from of_model(model, "", metrics, len(data.holdout.users))
    for name, part in found.slices.items():
        yield from of_model(contest.proposed, f"{name}/", part.metrics, part.users)


def of_model(model: str, prefix: str, metrics: Measured, users: int) -> Iterator[Row]:
    """A row for each metric."""
    for name, one in metrics.items():
        yield {
            "model": model, "metric": f"{prefix}{name}", "value": one.value, "low": one.low, "high": one.high,
            "standard deviation": one.standard_deviation, "n": users,
        }  # fmt: skip


def write(folder: Path, decision: Decision, record: Mapping[str, Any], table: Iterable[Row]) -> dict[str, Any]:
    """Write decision.json, metrics.csv and, from that, evaluation.json; the content of the first."""
    write_metrics(folder / "metrics.csv", table)
    measured = read_metrics(folder / "metrics.csv")
    write_json(folder / "evaluation.json", quality(measured, record["model"]))
    for name in record["models"]:
        write_json(folder / "models" / f"{name}.json", quality(measured, name))
    whole = finite({
        "verdict": decision.verdict, "register": decision.register, "reasons": list(decision.reasons),
        "reason": "; ".join(decision.reasons),
        "findings": [found_record(one, record["metrics"]) for one in decision.findings], **record,
    })  # fmt: skip
    write_json(folder / "decision.json", whole)
    return dict(whole)


def found_record(one: Finding, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A finding; the interval of a metric that was only asked for its value is the metric's own."""
    measured = one.measured
    if isinstance(measured, Interval):
        interval: Mapping[str, Any] = {"value": measured.value, "low": measured.low, "high": measured.high}
    else:
        known = metrics.get(one.rule.partition(" ")[0], {})
        interval = known if known.get("value") == measured and measured is not None else {"value": measured}
    numbers = {name: interval.get(name) for name in ("value", "low", "high")}
    return {"verdict": one.verdict, "finding": one.said, "rule": one.rule, **numbers, "users": one.users}

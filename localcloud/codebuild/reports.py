"""Test reports: JUnit files of a build, counted and kept in report groups named <project>-<group>."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..buildspec import model
from ..buildspec.model import Buildspec
from ..buildspec.phases import container_line
from ..buildspec.shell import Container
from ..service import CloudError
from .artifacts import matching
from .build import Build
from .failure import PhaseError
from .state import PAGE, arn, page, state

if TYPE_CHECKING:
    from ..cloud import Cloud

_STATUSES = {"failure": "FAILED", "error": "ERROR", "skipped": "SKIPPED"}
_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Report:
    """botocore's Report and its TestCases."""

    description: dict[str, Any]
    cases: list[dict[str, Any]]


def record(cloud: "Cloud", build: Build, spec: Buildspec, container: Container) -> list[str]:
    """Read the reports the buildspec names; returns their ARNs. PhaseError if one has no files or they are no JUnit."""
    arns = []
    for name, wanted in spec.reports.items():
        container.say(container_line(f"Preparing to copy test report {name}"))
        files = matching(container.source, wanted.base_directory, wanted.files)
        container.say(container_line(f"Found {len(files)} file(s)"))
        if not files:
            raise PhaseError(
                "CLIENT_ERROR", f"Error in UPLOAD_ARTIFACTS phase: [{name}: [report files not found in build]]"
            )
        arns.append(_keep(cloud, build, name, _cases(name, wanted, files)))
    return arns


def batch_get_reports(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetReports."""
    reports = state(cloud).reports
    return {
        "reports": [reports[asked].description for asked in request["reportArns"] if asked in reports],
        "reportsNotFound": [asked for asked in request["reportArns"] if asked not in reports],
    }


def batch_get_report_groups(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetReportGroups."""
    groups = state(cloud).groups
    return {
        "reportGroups": [groups[asked] for asked in request["reportGroupArns"] if asked in groups],
        "reportGroupsNotFound": [asked for asked in request["reportGroupArns"] if asked not in groups],
    }


def list_report_groups(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListReportGroups: by name unless a time is asked for."""
    groups = state(cloud).groups
    key = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(request.get("sortBy", "NAME"), "name")
    arns = sorted(groups, key=lambda group: groups[group][key], reverse=request.get("sortOrder") == "DESCENDING")
    return page(arns, request.get("nextToken"), "reportGroups", request.get("maxResults", PAGE))


def list_reports(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListReports: newest first unless ASCENDING is asked for."""
    return _listed(state(cloud).reports.values(), request)


def list_reports_for_report_group(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListReportsForReportGroup: newest first unless ASCENDING is asked for."""
    group = request["reportGroupArn"]
    if group not in state(cloud).groups:
        raise CloudError("ResourceNotFoundException", f"Report group cannot be found: {group}")
    reports = state(cloud).reports.values()
    return _listed((report for report in reports if report.description["reportGroupArn"] == group), request)


def _listed(reports: Iterable[Report], request: dict[str, Any]) -> dict[str, Any]:
    wanted = request.get("filter", {}).get("status")
    arns = [report.description["arn"] for report in reports if wanted in (None, report.description["status"])]
    if request.get("sortOrder") != "ASCENDING":
        arns.reverse()
    return page(arns, request.get("nextToken"), "reports", request.get("maxResults", PAGE))


def describe_test_cases(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """DescribeTestCases, filtered by status or keyword."""
    report = state(cloud).reports.get(request["reportArn"])
    if report is None:
        raise CloudError("ResourceNotFoundException", f"Report cannot be found: {request['reportArn']}")
    wanted = request.get("filter", {})
    cases = [
        case
        for case in report.cases
        if wanted.get("status", case["status"]) == case["status"] and wanted.get("keyword", "") in case["name"]
    ]
    return page(cases, request.get("nextToken"), "testCases", request.get("maxResults", PAGE))


def _keep(cloud: "Cloud", build: Build, name: str, cases: list[dict[str, Any]]) -> str:
    now, known = datetime.now(UTC), state(cloud)
    project = build.project["name"]
    group = name if name.startswith("arn:") else arn(cloud, f"report-group/{project}-{name}")
    title = group.rpartition("/")[2]
    identity = f"{group.replace(':report-group/', ':report/')}:{uuid4()}"
    for case in cases:
        case |= {"reportArn": identity, "expired": now + _KEPT}
    counts = Counter(case["status"] for case in cases)
    description = {
        "arn": identity,
        "type": "TEST",
        "name": title,
        "reportGroupArn": group,
        "executionId": build.arn,
        "status": "FAILED" if counts["FAILED"] or counts["ERROR"] else "SUCCEEDED",
        "created": now,
        "expired": now + _KEPT,
        "exportConfig": {"exportConfigType": "NO_EXPORT"},
        "truncated": False,
        "testSummary": {
            "total": len(cases),
            "statusCounts": {status: counts[status] for status in ("SUCCEEDED", *_STATUSES.values())},
            "durationInNanoSeconds": sum(case["durationInNanoSeconds"] for case in cases),
        },
    }
    with known.lock:
        standard = {
            "arn": group,
            "name": title,
            "type": "TEST",
            "created": now,
            "lastModified": now,
            "status": "ACTIVE",
        }
        known.groups.setdefault(group, standard | {"exportConfig": {"exportConfigType": "NO_EXPORT"}, "tags": []})
        known.reports[identity] = Report(description, cases)
    return identity


def _cases(name: str, wanted: model.Report, files: dict[str, Path]) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = []
    for path, file in files.items():
        try:
            root = ET.parse(file).getroot()  # noqa: S314 the build that wrote it may run any command anyway
            cases += [_case(suite, case, path) for suite, case in _elements(root)]
        except (ET.ParseError, ValueError) as error:
            message = f"Error in UPLOAD_ARTIFACTS phase: [{name}: [{path} is not {wanted.file_format}: {error}]]"
            raise PhaseError("CLIENT_ERROR", message) from error
    return cases


def _elements(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    if root.tag not in ("testsuite", "testsuites"):
        raise ValueError(f"it begins with <{root.tag}>")
    for suite in root.iter("testsuite"):
        for case in suite.findall("testcase"):
            yield suite.get("name", ""), case


def _case(suite: str, case: ET.Element, path: str) -> dict[str, Any]:
    status, message = "SUCCEEDED", ""
    for tag, meaning in _STATUSES.items():
        found = case.find(tag)
        if found is not None:
            status, message = meaning, found.get("message") or (found.text or "").strip()
    return {
        "testRawDataPath": path,
        "prefix": case.get("classname", ""),
        "name": case.get("name", ""),
        "testSuiteName": suite,
        "status": status,
        "message": message,
        "durationInNanoSeconds": int(float(case.get("time") or 0) * 1e9),
    }

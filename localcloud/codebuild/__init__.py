"""CodeBuild: projects, and builds that run their buildspec as real processes."""

from ..service import Service
from . import builds, projects, reports

SERVICE = Service(
    "codebuild",
    {
        "BatchGetBuilds": builds.batch_get_builds,
        "BatchGetProjects": projects.batch_get_projects,
        "BatchGetReportGroups": reports.batch_get_report_groups,
        "BatchGetReports": reports.batch_get_reports,
        "CreateProject": projects.create_project,
        "DeleteProject": projects.delete_project,
        "DescribeTestCases": reports.describe_test_cases,
        "ListBuilds": builds.list_builds,
        "ListBuildsForProject": builds.list_builds_for_project,
        "ListProjects": projects.list_projects,
        "ListReportGroups": reports.list_report_groups,
        "ListReports": reports.list_reports,
        "ListReportsForReportGroup": reports.list_reports_for_report_group,
        "RetryBuild": builds.retry_build,
        "StartBuild": builds.start_build,
        "StopBuild": builds.stop_build,
        "UpdateProject": projects.update_project,
    },
)

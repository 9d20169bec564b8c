"""The DAG that starts preprocessing on EMR, weekly or when asked: one Spark step, and Airflow waits for its end.

Copy this file into Airflow's dags folder, and processing_code to the bucket:

    python -m zipfile -c processing_code.zip processing_code/*.py processing_code/*.sql
    aws s3 cp processing_code.zip s3://<bucket>/code/ && aws s3 cp processing_code/spark_job.py s3://<bucket>/code/

It starts preprocessing and nothing else: that new data retrains a model is a commit of a data lock.
"""

import datetime

from airflow.providers.amazon.aws.operators.emr import EmrAddStepsOperator
from airflow.sdk import DAG, Param

ADDRESS = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_=.-]+)*$"
PARAMS = {
    "cluster": Param("j-0000000000000", type="string", pattern="^j-[A-Z0-9]{5,30}$", title="EMR cluster"),
    "code": Param("s3://bucket/code", type="string", pattern=ADDRESS, title="where processing_code.zip lies"),
    "lock": Param("s3://bucket/locks/lock.json", type="string", pattern=ADDRESS, title="the data lock, as JSON"),
    "data": Param("s3://bucket", type="string", pattern=ADDRESS, title="what the lock's keys are below"),
    "output": Param("s3://bucket/prepared", type="string", pattern=ADDRESS),
    "columns": Param(
        {"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}, type="object", title="mapping"
    ),
    "split": Param("temporal", type="string", enum=["temporal", "leave_one_out"]),
    "min_user_interactions": Param(20, type="integer", minimum=1),
    "min_item_users": Param(50, type="integer", minimum=1),
}
# a list of arguments, which EMR's command-runner starts without a shell; the output is partitioned by the run's time
COMMAND = [
    "spark-submit", "--deploy-mode", "cluster",
    "--py-files", "{{ params.code }}/processing_code.zip", "{{ params.code }}/spark_job.py",
    "--lock", "{{ params.lock }}", "--data", "{{ params.data }}",
    "--output", "{{ params.output }}/run={{ run_id | replace(':', '-') | replace('+', '-') }}",
    "--columns", "{{ params.columns | tojson }}",
    "--split", "{{ params.split }}",
    "--min-user-interactions", "{{ params.min_user_interactions }}",
    "--min-item-users", "{{ params.min_item_users }}",
]  # fmt: skip

with DAG(
    dag_id="prepare_interactions",
    schedule="@weekly",
    start_date=datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": datetime.timedelta(minutes=5)},
    params=PARAMS,
    doc_md=__doc__,
) as dag:
    EmrAddStepsOperator(
        task_id="prepare",
        job_flow_id="{{ params.cluster }}",
        steps=[
            {
                "Name": "prepare",
                "ActionOnFailure": "CONTINUE",
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": COMMAND},
            }
        ],
        wait_for_completion=True,
    )

"""Names that reach AWS, SQL or a command line: each by a pattern that leaves no room for anything else."""

from typing import Annotated

from pipelines.models import text

Column = Annotated[str, text(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", "a column name: letters, digits and underscores")]
Digest = Annotated[str, text(r"^[0-9a-f]{64}$", "a sha256 of 64 hexadecimal digits")]
Group = Annotated[str, text(r"^[A-Za-z0-9](?:-*[A-Za-z0-9]){0,62}$", "letters, digits and dashes, at most 63")]
Instance = Annotated[
    str,
    text(r"^ml\.[a-z][a-z0-9-]{1,15}\.(?:[0-9]{0,2}x?large|medium|metal)$", "an instance type such as ml.m5.xlarge"),
]
LOCK_PATH = r"^params/[a-z0-9](?:[-_]?[a-z0-9])*\.data\.yml$"
LockPath = Annotated[str, text(LOCK_PATH, "params/<model>.data.yml")]
Metric = Annotated[str, text(r"^(?:ndcg|hr|mrr|recall)@[1-9][0-9]{0,3}$", "ndcg@k, hr@k, recall@k or mrr@k")]
Measure = Annotated[
    str,
    text(
        r"^(?:(?:ndcg|hr|mrr|recall|coverage|gini|novelty|popularity_lift|diversity|categories)@[1-9][0-9]{0,3}|bytes)$",
        "ndcg@k, hr@k, recall@k, mrr@k, coverage@k, gini@k, novelty@k, popularity_lift@k, diversity@k, categories@k "
        "or bytes",
    ),
]
PartitionKey = Annotated[
    str,
    text(
        r"^raw(?:/[A-Za-z0-9_][A-Za-z0-9_=.-]*){2,8}\.(?:parquet|csv|csv\.gz)$",
        "raw/<dataset>/week=YYYY-WW/part-0.parquet, without `..`",
    ),
]
SigningKey = Annotated[
    str, text(r"^keys/[A-Za-z0-9_-]{1,64}/ed25519\.pem$", "keys/<name>/ed25519.pem, a key of the project's bucket")
]
Slice = Annotated[
    str,
    text(
        r"^(?:activity=(?:low|middle|high)|items=(?:head|tail)|users=new|segment=[A-Za-z0-9_][A-Za-z0-9 _-]{0,62})$",
        "activity=low, activity=middle, activity=high, items=head, items=tail, users=new or segment=<a value>",
    ),
]
Word = Annotated[str, text(r"^[a-z0-9](?:[-_]?[a-z0-9]){0,62}$", "lower-case letters, digits, dashes and underscores")]

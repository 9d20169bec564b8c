"""Describes SageMaker pipelines from params/ and starts them: python -m pipelines run --all."""

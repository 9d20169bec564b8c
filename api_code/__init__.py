"""What stands in front of the endpoint, as Lambda functions: recommendations, feedback events, nightly precompute.

Ships alone, as a zip of this folder, to a runtime that has boto3 and nothing else of ours.
"""

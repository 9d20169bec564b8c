"""Buildspec 0.2: its model, its JSON Schema and a runner that needs neither Docker nor AWS.

`python -m localcloud.buildspec run buildspec.yml` runs one by hand; `... check buildspec.yml` only reads it.
"""

"""The AWS side of the project: one CloudFormation template and the command that deploys it."""

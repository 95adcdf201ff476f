"""Checks a deployed stack: `make verify-aws STACK=...`.

It deploys a stack of that name, or with DEPLOY=no uses an existing one; runs each feature that has its own IAM
statements; prints what passed, and where to look for the cause of what failed; and removes what it created.
"""

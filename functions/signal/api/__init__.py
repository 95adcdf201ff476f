"""The routes of the HTTP API, a module for each noun.

They import each other relatively: it is `api` in Lambda, and `functions.signal.api` for tests and tools.
"""

"""Runs in one SQLite database."""

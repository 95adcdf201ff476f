"""Runs on AWS."""

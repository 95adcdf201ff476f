"""Agents of other frameworks as durable workflows. Nothing here is imported unless an application does."""

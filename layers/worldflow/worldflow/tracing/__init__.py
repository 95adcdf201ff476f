"""Traces by OpenTelemetry. Nothing imports this unless tracing is on.

described   spans as data: their names, ids, attributes
walking     the spans of past runs, from their histories
emitting    spans with ids of their own, by OpenTelemetry's API
sending     to an OTLP endpoint, by its SDK
live        spans of turns and attempts as they happen, and of a run when it ends
"""

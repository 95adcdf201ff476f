"""Your workflows. Every module in this package is imported by the functions, so a new file is all that a new workflow
takes.
"""

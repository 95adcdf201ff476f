"""Runs for coding assistants, over the Model Context Protocol: `python -m worldflow mcp`.

    server.py       the server: which tools it has, and how they fail
    reading.py      the tools that read
    acting.py       the tools that change something, which are there only if the operator allows it
    answers.py      what tools return
    explaining.py   a run in a paragraph: what it is doing, or why it failed
    showing.py      the runs' data as an assistant may see it: cut, redacted or left out
    schemas.py      JSON Schemas of workflows

What runs carry is written by others, so every answer that holds some of it says that it is data. Nothing that runs in
Lambda imports this, and only `server.py` imports the SDK.
"""

"""The console: what every run does, in a browser, and what can be done about it.

    python -m worldflow ui --local runs.db
    app.mount("/worldflow", console(world))       # in an ASGI application, behind its own sign-in

Nothing that runs in Lambda imports this. It needs `pip install "worldflow[ui]"`.
"""

from worldflow.console.application import console

__all__ = ["console"]

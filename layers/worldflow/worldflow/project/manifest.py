"""Which files a project consists of, and where the repository has each. It imports nothing: the build reads it too."""

from __future__ import annotations

_SAME = (
    "events/orchestrator-start.json",
    "events/signal-signal-run.json",
    "events/signal-start-run.json",
    "events/step-executor-step-task.json",
    "functions/caretaker/app.py",
    "functions/orchestrator/app.py",
    "functions/signal/app.py",
    "functions/step_executor/app.py",
    "functions/trigger/app.py",
    "layers/Makefile",
    *(
        f"layers/targets/python3.{minor}-{architecture}/Makefile"
        for minor in (11, 12, 13, 14)
        for architecture in ("arm64", "x86_64")
    ),
    "layers/workflows/requirements.txt",
    "layers/workflows/workflows/__init__.py",
    "layers/workflows/workflows/hello.py",
    "layers/workflows/workflows/order.py",
    "layers/worldflow/requirements.txt",
    "samconfig.toml",
    "template.yaml",
    "worldflow.mk",
)
"""Files that the repository's own root uses as well."""

_OTHERS = {
    ".github/workflows/ci.yml": "starter/github/workflows/ci.yml",
    ".github/workflows/deploy.yml": "starter/github/workflows/deploy.yml",
    ".gitignore": "starter/gitignore",
    "Makefile": "starter/Makefile",
    "README.md": "starter/README.md",
    "pyproject.toml": "starter/pyproject.toml",
    "requirements-dev.txt": "starter/requirements-dev.txt",
    "tests/test_order.py": "starter/tests/test_order.py",
    "tests/test_workflows.py": "starter/tests/test_workflows.py",
}

SOURCES: dict[str, str] = dict.fromkeys(_SAME, "") | _OTHERS
SOURCES = {path: source or path for path, source in sorted(SOURCES.items())}
"""The path in a project of each file, and its path in the repository."""

EXAMPLES = frozenset(path for path in SOURCES if path.startswith(("layers/workflows/", "tests/", "README.md")))
"""Files that are the user's own as soon as a project is made: `upgrade` leaves them alone."""

ENGINE = "layers/worldflow"
"""The folder of a project that has the engine's wheel."""

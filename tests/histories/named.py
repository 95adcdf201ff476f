"""Names that carry a release: workflows of one name can be frozen once for each release."""

import warnings
from collections.abc import Callable
from typing import Any

import worldflow


def named_step(release: str) -> Callable[..., Any]:
    def step(**options: Any) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            with warnings.catch_warnings():  # what is frozen keeps the options of its release
                warnings.simplefilter("ignore", DeprecationWarning)
                return worldflow.step(name=f"{function.__name__}-{release}", **options)(function)

        return decorate

    return step


def named_workflow(release: str) -> Callable[..., Any]:
    def workflow(**options: Any) -> Callable[[Any], Any]:
        return lambda function: worldflow.workflow(name=f"{function.__name__}-{release}", **options)(function)

    return workflow

"""The CDK construct has the template's parameters and outputs, and the page shows the app that is deployed."""

from __future__ import annotations

import re

from tests.infrastructure.stack import ROOT
from tools import cdk, terraform

PAGE = (ROOT / "docs/hosting/cdk.md").read_text()


def test_the_properties_of_the_construct_are_the_templates() -> None:
    assert cdk.FILE.read_text() == cdk.properties(), "make cdk"


def test_the_page_shows_the_app() -> None:
    shown, environment = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
    assert shown in (ROOT / "infrastructure/cdk/app.py").read_text()
    attributes = set(re.findall(r"worldflow\.(\w+)[,}\n]", environment))
    assert attributes <= set(re.findall(r"def (\w+)\(self\)", cdk.properties()))


def test_the_variables_of_the_module_are_the_templates() -> None:
    assert terraform.FILE.read_text() == terraform.properties(), "make terraform"

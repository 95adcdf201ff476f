"""`python -m tools.cdk`: writes the parameters and outputs of the template as the CDK construct has them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from tools.template import ROOT, TEMPLATE

FILE = ROOT / "infrastructure/cdk/worldflow_cdk/properties.py"

HEAD = '''\
"""The template's parameters and outputs. Written by `make cdk` from template.yaml."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, TypedDict


class Parameters(TypedDict, total=False):
    """Those of the template, with its defaults."""

'''


def main() -> None:
    FILE.write_text(properties())


def properties() -> str:
    parameters, outputs = TEMPLATE["Parameters"], TEMPLATE["Outputs"]
    parts = [HEAD]
    for name, parameter in parameters.items():
        description = parameter["Description"].replace(", separated by commas", "")
        parts.append(f"    {snake(name)}: {_type(parameter)}\n{_docstring(description, 4)}")
    names = "".join(f'    "{snake(name)}": "{name}",\n' for name in parameters)
    parts.append(f"\n\nNAMES = {{\n{names}}}\n")
    needed = "".join(f'    "{name}": "{parameters[name]["Default"]}",\n' for name in ("Runtime", "Architecture"))
    parts.append(f'\nDEFAULTS = {{\n{needed}}}\n"""What the build needs to know."""\n')
    parts.append('\n\nclass Outputs:\n    """The outputs of the stack."""\n\n    @abstractmethod\n')
    parts.append("    def _output(self, name: str) -> str: ...\n")
    for name, output in outputs.items():
        parts.append(f"\n    @property\n    def {snake(name)}(self) -> str:\n{_docstring(output['Description'], 8)}")
        parts.append(f'        return self._output("{name}")\n')
    return "".join(parts)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _type(parameter: Mapping[str, Any]) -> str:
    values = parameter.get("AllowedValues")
    if values == ["false", "true"]:
        return "bool"
    if values:
        return f"Literal[{', '.join(json.dumps(value) for value in values)}]"
    if parameter["Type"] == "Number":
        return "int"
    return "Sequence[str]" if is_list(parameter) else "str"


def is_list(parameter: Mapping[str, Any]) -> bool:
    return parameter["Type"] == "CommaDelimitedList" or "separated by commas" in parameter["Description"]


def _docstring(text: str, indent: int) -> str:
    space = " " * indent
    lines = textwrap.wrap(text, 110 - indent)
    if len(lines) == 1 and indent + len(text) < 112:
        return f'{space}"""{text}"""\n'
    return "\n".join([f'{space}"""{lines[0]}', *(space + line for line in lines[1:])]) + f'\n{space}"""\n'


if __name__ == "__main__":
    main()

"""`python -m tools.audit FILE...`: known vulnerabilities of the packages that these files pin, by pip-audit.

A finding fails. A package that could not be looked up does not, since a build without a way to the service has to end;
but it is named, and nobody reads that all is well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def main() -> int:
    command = ["pip-audit", "--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
    for file in sys.argv[1:]:
        command += ["--requirement", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"pip-audit: NOTHING was audited: the vulnerability service could not be reached: {reason}")
        return 0
    lines, has_findings = verdict(report["dependencies"])
    print("\n".join(lines))
    return 1 if has_findings else 0


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """What to say of a report, and whether anything was found."""
    findings = [
        f"{package['name']} {package['version']}: {found['id']}, {_fixed(found['fix_versions'])}"
        for package in dependencies
        for found in package.get("vulns", [])
    ]
    unknown = sorted({package["name"] for package in dependencies if "skip_reason" in package})
    audited = len({package["name"] for package in dependencies} - set(unknown))
    lines = [*findings, f"pip-audit: {audited or 'NO'} packages audited, {len(findings)} vulnerabilities found."]
    if unknown:
        names = ", ".join(unknown)
        lines.append(
            f"pip-audit: {len(unknown)} packages were NOT audited, since the service does not know them: {names}"
        )
    return lines, bool(findings)


def _fixed(versions: Sequence[str]) -> str:
    return f"fixed in {', '.join(versions)}" if versions else "not fixed yet"


if __name__ == "__main__":
    sys.exit(main())

"""What MkDocs does besides for the documentation site: a hook of `mkdocs.yml`.

The site's first page is the README, the examples have the pages in their folders, and the commands on the page of the
command line are Typer's. Links to other files outside docs/ lead to the repository. Each page is there as Markdown too,
beside `llms.txt` and `llms-full.txt`.
"""

from __future__ import annotations

import logging
import posixpath
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).parents[2]
LLMS = runpy.run_path(str(PROJECT / "tools/llms.py"))

EXAMPLES = {
    f"examples/{page.parent.name}/index.md": f"examples/{page.parent.name}/README.md"
    for page in sorted(PROJECT.glob("examples/*/README.md"))
}
PICTURES = {f"examples/{path.parent.name}/{path.name}" for path in PROJECT.glob("examples/*/*.svg")}

COPIED = {
    "benchmarks.md": "benchmarks/results.md",
    "changelog.md": "CHANGELOG.md",
    "examples/index.md": "examples/README.md",
    "index.md": "README.md",
    "peers.md": "benchmarks/peers.md",
    **EXAMPLES,
    **dict(zip(PICTURES, PICTURES, strict=True)),
}
"""Files of the site, with the files of the project that they are."""

_COMMANDS = re.compile(r"<!-- The commands: .*? -->")

log = logging.getLogger("mkdocs.hooks.site")

_LOADED_FROM_ELSEWHERE = re.compile(
    r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)|<link rel="stylesheet" href="(https?:[^"]+)'
)
_LINK = re.compile(r"(\]\(|\bsrc=\")(?![a-z]+:|#|/)([^)\s#\"]+)")


_markdown: dict[str, str] = {}
"""The pages as Markdown, by their files."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    (entry,) = (entry for entry in config.nav or () if "Examples" in entry)
    entry["Examples"] += EXAMPLES
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for uri, name in COPIED.items():
        files.append(File.generated(config, uri, content=(PROJECT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Links as the site has them: files of docs/ relative to the page, all others in the repository."""
    uri = page.file.src_uri
    source = COPIED.get(uri, f"docs/{uri}")
    pages = {name: uri for uri, name in COPIED.items()}

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if target.startswith("docs/") or target in pages:
            target = pages.get(target, target.removeprefix("docs/"))
            return match[1] + posixpath.relpath(target, posixpath.dirname(uri) or ".")
        if not (PROJECT / target).exists():
            return match[0]  # MkDocs says that it leads nowhere
        return f"{match[1]}{config.repo_url}blob/main/{target}"

    _markdown[uri] = _COMMANDS.sub(lambda _: _commands(), _LINK.sub(link, markdown))
    return _markdown[uri]


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warns of what a reader's browser would load from another host."""
    for found in _LOADED_FROM_ELSEWHERE.findall(output):
        log.warning("%s loads %s", page.file.src_uri, found)
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """Writes what language models read."""
    site, nav, url = Path(config.site_dir), config.nav or [], config.site_url or "/"
    for uri, text in _markdown.items():
        if not uri.startswith("reference/"):
            (site / uri).write_text(text)
    (site / "llms.txt").write_text(LLMS["brief"](nav, url, _markdown))
    (site / "llms-full.txt").write_text(LLMS["full"](nav, url, _markdown))


def _commands() -> str:
    typer = [sys.executable, "-m", "typer", "worldflow.cli", "utils", "docs", "--name", "worldflow"]
    done = subprocess.run(typer, cwd=PROJECT / "layers/worldflow", check=True, capture_output=True, text=True)
    return done.stdout.partition("\n")[2].replace("\n### ", "\n#### ").replace("\n## ", "\n### ")

"""`lumyn init`: a workspace here, with a policy, vectors that pass, and a store. Overwrites nothing unasked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.files import Written, make_folder, write_file
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import WORKSPACE_FOLDER

__all__ = ["SCHEMAS", "SCHEMA_FOLDER", "UNKNOWN_SOURCE", "Template", "register", "vector_modeline", "with_modeline"]

SCHEMA_FOLDER: Final = Path(".lumyn-schemas")
"""Where editors find the schemas. It is checked in, so that they work for everyone, unlike `.lumyn`; and it begins
with a dot, so that pytest and the search for vectors pass it by."""

SCHEMAS: Final = ("policy.v0.schema.json", "vector.v0.schema.json", "decision_request.v0.schema.json")
_TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_STORE: Final = Path(WORKSPACE_FOLDER, "lumyn.db")
_WORKFLOW: Final = Path(".github", "workflows", "lumyn.yml")
UNKNOWN_SOURCE: Final = "git+<URL of the Lumyn repository>"
_SOURCE_URL: Final = re.compile(r"git\+(https|ssh)://[A-Za-z0-9@:/._~-]+@[0-9a-f]{40,64}")
_MODELINE: Final = re.compile(r"(?m)^# yaml-language-server: \$schema=\S*/(\w+\.v0\.schema\.json)$")


class Template(StrEnum):
    """The starter workspaces."""

    SUPPORT = "support"
    ACCOUNT = "account"
    BILLING = "billing"
    MINIMAL = "minimal"

    def policy_text(self) -> str:
        """Return the policy it starts from: one that ships with Lumyn, or a skeleton."""
        from lumyn import _resources

        match self:
            case Template.MINIMAL:
                return _template("minimal.policy.yml")
            case Template.SUPPORT:
                path = _resources.policies_dir() / "lumyn-support.v0.yml"
            case Template.ACCOUNT | Template.BILLING:
                path = _resources.policies_dir() / "packs" / f"lumyn-{self.value}.v0.yml"
        return path.read_text(encoding="utf-8")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    template: Annotated[
        Template, typer.Option("--template", "-t", help="Which actions the starter policy is about.")
    ] = Template.SUPPORT,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that differ. The store is never replaced.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Make a workspace here: lumyn.toml, policies, vectors, a store and a CI workflow.

    What exists is kept. Exits 5 when there is nothing to do.

    JSON (`lumyn.cli.init.v0`): `template`; `created`, `kept` and `replaced`, paths each.
    """
    results: dict[Written, list[str]] = {each: [] for each in Written}
    for path, text in _files(template):
        results[write_file(path, text, force=force)].append(str(path))
    results[_create_store()].append(str(_STORE))
    changed = bool(results[Written.CREATED] or results[Written.REPLACED])
    console = Console()
    if json:
        console.json("init", {"template": template.value, **{each.value: results[each] for each in Written}})
    else:
        _report(console, results, template, changed=changed, force=force)
    return ExitCode.OK if changed else ExitCode.NOTHING_TO_DO


def _files(template: Template) -> Iterator[tuple[Path, str]]:
    from lumyn import _resources

    policy = template.policy_text()
    yield Path("lumyn.toml"), _template("lumyn.toml").replace("{template}", template.value)
    yield Path("policies", f"{template.value}.yml"), with_modeline(policy, above="..")
    yield Path("vectors", f"{template.value}.yml"), with_modeline(_template(f"{template.value}.yml"), above="..")
    for name in SCHEMAS:
        yield SCHEMA_FOLDER / name, _resources.schema_path(name).read_text(encoding="utf-8")
    # The public index holds another release line of this name, so the workflow installs from a repository.
    yield _WORKFLOW, _template("workflow.yml").replace("{source}", _source_url() or UNKNOWN_SOURCE)


def vector_modeline(folder: Path, path: Path) -> str:
    """Return the line that names a workspace's schema of vectors for editors; empty where `lumyn init` put none."""
    schema = folder / SCHEMA_FOLDER / "vector.v0.schema.json"
    if not schema.is_file():
        return ""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(schema, path.absolute().parent)).as_posix()}\n"


def with_modeline(text: str, *, above: str) -> str:
    """Return a YAML document whose editor modeline points at the workspace's schemas, `above` its own folder."""
    folder = SCHEMA_FOLDER.as_posix()
    return _MODELINE.sub(lambda found: f"# yaml-language-server: $schema={above}/{folder}/{found[1]}", text, count=1)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _create_store() -> Written:
    from lumyn.store import open_store

    make_folder(_STORE.parent, private=True)
    write_file(_STORE.parent / ".gitignore", "*\n")
    existed = _STORE.exists()
    open_store(str(_STORE), create=True).close()
    return Written.KEPT if existed else Written.CREATED


def _source_url() -> str | None:
    """Return the git URL that this Lumyn was installed from, pinned to its commit (PEP 610), or None."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution("lumyn").read_text("direct_url.json")
        data = json.loads(text) if text else {}
    except (PackageNotFoundError, ValueError):
        return None
    vcs = data.get("vcs_info", {})
    url = f"git+{data.get('url')}@{vcs.get('commit_id')}"
    return url if vcs.get("vcs") == "git" and _SOURCE_URL.fullmatch(url) else None


def _report(
    console: Console, results: dict[Written, list[str]], template: Template, *, changed: bool, force: bool
) -> None:
    for written, style in ((Written.CREATED, "green"), (Written.REPLACED, "yellow"), (Written.KEPT, "dim")):
        for path in results[written]:
            console.line((written.value.ljust(10), style), path)
    if not changed:
        rest = "as it would be made now" if force else "already; --force replaces what differs"
        console.line(f"nothing to do: everything is here {rest}", hang=2)
        return
    if str(_WORKFLOW) in results[Written.CREATED] and _source_url() is None:
        console.line("")
        console.line(f"Put the URL that you install Lumyn from into {_WORKFLOW}.")
    console.line("")
    console.line("next:")
    console.line("pytest --lumyn-vectors", indent=2)
    console.line(f"lumyn policy show policies/{template.value}.yml", indent=2)

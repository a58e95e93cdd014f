"""`lumyn init`: a workspace here, with a policy, vectors that pass, and a store. Overwrites nothing unasked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lumyn.cli.console import Console
from lumyn.cli.exit_codes import ExitCode
from lumyn.cli.files import Written, make_folder, write_file
from lumyn.cli.options import JsonFlag
from lumyn.cli.workspace import WORKSPACE_FOLDER
from lumyn.errors import InvalidConfigError, StoreUnavailableError

if TYPE_CHECKING:
    from lumyn.config import Config

__all__ = ["SCHEMAS", "SCHEMA_FOLDER", "UNKNOWN_SOURCE", "Template", "register", "vector_modeline", "with_modeline"]

SCHEMA_FOLDER: Final = Path(".lumyn-schemas")
"""Where editors find the schemas. It is checked in, so that they work for everyone, unlike `.lumyn`; and it begins
with a dot, so that pytest and the search for vectors pass it by."""

SCHEMAS: Final = ("policy.v0.schema.json", "vector.v0.schema.json", "decision_request.v0.schema.json")
_SQLITE: Final = "sqlite:///"
_TEMPLATES: Final = Path(__file__).parents[1] / "templates"
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

    @property
    def policy_path(self) -> Path:
        """Where its policy is put, relative to the workspace."""
        return Path("policies", f"{self.value}.yml")

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
    context: typer.Context,
    template: Annotated[
        Template | None,
        typer.Option(
            "--template", "-t", help="Which actions the starter policy is about.", show_default=Template.SUPPORT.value
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that differ. The store is never replaced.")
    ] = False,
    json: JsonFlag = False,
) -> int:
    """
    Make a workspace here: lumyn.toml, policies, vectors, a store and a CI workflow.

    What exists is kept. A configuration that is here already says which store is made, and where it names a policy of
    your own there is no starter policy unless --template asks for one. With --config of another folder only the store
    is made. Exits 5 when there is nothing to do.

    JSON (`lumyn.cli.init.v0`): `template`, null without a starter policy; `created`, `kept` and `replaced`, paths each.
    """
    from lumyn.cli.diagnosis.paths import shown

    results: dict[Written, list[str]] = {each: [] for each in Written}
    config, written = _configure(context.obj, template, force=force)
    results[written].append(shown(config.file or Path()))
    starter = template or _starter(config, written)
    policy = starter.policy_path if starter else config.policy.path or Path()
    here = template is not None or config.folder.samefile(Path.cwd())
    for path, text in _files(starter) if here else ():
        results[write_file(path, text, force=force)].append(str(path))
    store = _store_path(config)
    if store is not None:
        results[_create_store(store, config.store.id)].append(shown(store))
    changed = bool(results[Written.CREATED] or results[Written.REPLACED])
    console = Console()
    if json:
        name = None if starter is None else starter.value
        console.json("init", {"template": name, **{each.value: results[each] for each in Written}})
    else:
        _report(console, results, shown(policy), changed=changed, force=force)
    return ExitCode.OK if changed else ExitCode.NOTHING_TO_DO


def _configure(named: Path | None, template: Template | None, *, force: bool) -> tuple[Config, Written]:
    """
    Return the configuration that holds here; where there is none, `lumyn.toml` is made.

    One that is named and `[tool.lumyn]` get no `lumyn.toml` beside them: it would go before them, and an application
    would be judged by the starter policy from then on. For the same reason `force` alone replaces none that names
    another policy.

    Raises:
        InvalidConfigError: The configuration that is here is not usable.
        StoreUnavailableError: `PATH_NOT_WRITABLE`.
    """
    from lumyn.config import CONFIG_FILE, CONFIG_PATH_VARIABLE, config_file_in, load_config

    written = Written.KEPT
    if named is None and CONFIG_PATH_VARIABLE not in os.environ:
        here = config_file_in()
        if here is None or here.name == CONFIG_FILE:
            starter = template or Template.SUPPORT
            text = _template(CONFIG_FILE).replace("{template}", starter.value)
            replaced = force and (template is not None or not _names_another(here, starter))
            written = write_file(Path(CONFIG_FILE), text, force=replaced)
    return load_config(file=named), written


def _starter(config: Config, written: Written) -> Template | None:
    """Return the template when nobody asked for one: none where another policy was configured before."""
    starter = Template.SUPPORT
    return None if written is Written.KEPT and _is_another(config.policy.path, starter) else starter


def _names_another(file: Path | None, starter: Template) -> bool:
    from lumyn.config import load_config

    try:
        return file is not None and _is_another(load_config(file=file, environ={}).policy.path, starter)
    except InvalidConfigError:
        return False


def _is_another(policy: Path | None, starter: Template) -> bool:
    return policy not in {None, starter.policy_path.absolute()}


def _files(starter: Template | None) -> Iterator[tuple[Path, str]]:
    from lumyn import _resources

    if starter is not None:
        yield starter.policy_path, with_modeline(starter.policy_text(), above="..")
        vectors = Path("vectors", f"{starter.value}.yml")
        yield vectors, with_modeline(_template(vectors.name), above="..")
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


def _store_path(config: Config) -> Path | None:
    """Return the file of the configured store, or None for one in memory."""
    from lumyn.store import open_store

    open_store(config.store.url)  # says what is wrong with a URL that no store can be at
    path = config.store.url.removeprefix(_SQLITE)
    return None if path == ":memory:" else Path(path)


def _create_store(path: Path, store_id: str | None) -> Written:
    from lumyn.cli.diagnosis.paths import shown
    from lumyn.store import open_store

    existed = path.exists()
    if store_id is not None and not existed:
        message = f"there is no store `{shown(path)}`, and a new one would not be `{store_id}`, as `store.id` says"
        hint = "restore the file; for a new store take `store.id` out first"
        raise StoreUnavailableError(message, detail="STORE_NOT_FOUND", hint=hint)
    own = path.parent.name == WORKSPACE_FOLDER
    make_folder(path.parent, private=own)
    if own:
        write_file(path.parent / ".gitignore", "*\n")
    open_store(str(path), create=True, store_id=store_id).close()
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


def _report(console: Console, results: dict[Written, list[str]], policy: str, *, changed: bool, force: bool) -> None:
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
    console.line(f"lumyn policy show {policy}", indent=2)

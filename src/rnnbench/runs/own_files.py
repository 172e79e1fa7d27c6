"""Which files of the user's a run reads: the options that name them, and what lies there, as its config has it.

A group's yaml says so (`meta: {files: [path]}`). While a run is planned the sha256 of what each of these options names
goes into the config (`meta.content`), and so into the id, in place of the path (`store.record.identity`). No torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rnnbench.datasets.own.beside import options_beside
from rnnbench.errors import BadInput
from rnnbench.runs import grants, registry
from rnnbench.store.config import Composed, Config
from rnnbench.store.content import content_of

GROUPS = ("cell", "dataset")  # whose yaml may name files


def with_content(config: Config) -> Config:
    """The config with the content of the user's files.

    Raises MissingData where one is missing; BadInput where it cannot be read, or a dataset of the user's has a file for
    an option and does not say whether it reads it.
    """
    found: Composed = {**config}
    for group in GROUPS:
        node = found[group]
        meta = {key: value for key, value in node["meta"].items() if key != "content"}  # nobody says it but the files
        node = {**node, **options_beside(meta.get("reader"), node)}
        if "files" not in meta:
            _refuse_undeclared(group, node)
        elif content := _content(group, node):
            meta["content"] = content
        found[group] = {**node, "meta": meta}
    return cast(Config, found)


def check(config: Config) -> None:
    """Raise BadInput where a file is another than when the run was planned: its id would be that of other data."""
    for group in GROUPS:
        node: Mapping[str, Any] = cast(Composed, config)[group]
        planned = node["meta"].get("content")
        for key in planned or ():
            if content_of(node[key], f"{group}.{key}") != planned[key]:
                what = f"{group}.{key} ({node[key]})"
                raise BadInput(f"{what} has changed since this run was planned; the same command plans it anew.")


def _content(group: str, node: Composed) -> dict[str, str]:
    """The sha256 of what lies where the declared options say, by option; those that are set to nothing are left out."""
    found = {}
    for key in declared(group, node["meta"]):
        if key not in node or key in ("meta", "_target_"):
            name = node["meta"]["name"]
            raise BadInput(f"{group}={name}: meta.files names {key!r}, which is no option of it; write those that are.")
        if _is_ours(node) and "reader" not in node["meta"] and _is_folder(node[key]):  # a reader says it itself
            raise BadInput(f"{group}.{key} must name a file, and {node[key]} is a folder.")
        sha256 = content_of(node[key], f"{group}.{key}")
        if sha256 is not None:
            found[key] = sha256
    return found


def _is_ours(node: Composed) -> bool:
    return str(node.get("_target_")).startswith(grants.OURS)


def _is_folder(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and os.path.isdir(os.path.expanduser(value))


def declared(group: str, meta: Mapping[str, Any]) -> list[str]:
    """The options that a group's meta says are files. Raises BadInput where it is no list of names."""
    files = meta.get("files")
    if not isinstance(files, list) or not all(isinstance(key, str) for key in files):
        raise BadInput(f"{group}={meta.get('name')}: meta.files must be a list of options, e.g. [path], not {files!r}.")
    return files


def _refuse_undeclared(group: str, node: Composed) -> None:
    """A dataset that may read a file without saying so would answer with an old number when the file has changed."""
    if group != "dataset" or _is_ours(node):
        return
    name = node["meta"]["name"]
    for key, value in node.items():
        if key not in ("meta", "_target_") and (file := next(_existing(value), None)) is not None:
            where = registry.choices(group).get(name, f"{name}.yaml")
            raise BadInput(
                f"dataset.{key} names the file {file}, and {where} does not say whether the dataset reads it: write "
                f"`files: [{key}]` under meta, so that its content is part of the id, or `files: []` if it reads none."
            )


def _existing(value: Any) -> Iterator[str]:
    """The texts in an option's value that are names of files which are there."""
    if isinstance(value, str) and value and os.path.isfile(os.path.expanduser(value)):
        yield value
    parts = value if isinstance(value, list) else value.values() if isinstance(value, Mapping) else ()
    for part in parts:
        yield from _existing(part)

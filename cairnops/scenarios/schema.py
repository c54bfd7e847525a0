"""The pack format as JSON Schema, generated from the model so that editors and the loader agree."""

import json
from functools import cache
from typing import Any

from cairnops.scenarios.model import Pack

#: What it is called beside a pack of one's own, where the pack's first line looks for it.
BESIDE = "cairnops-pack.schema.json"
SCHEMA_ID = "urn:cairnops:scenario-pack:1"


@cache
def pack_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of one pack file."""
    schema = Pack.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "cairnops scenario pack",
    }


def render() -> str:
    """The schema as it ships in `packs/schema.json`: two spaces, keys sorted, LF at the end."""
    return json.dumps(pack_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def keys_at(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys a mapping at `path` may have (`("scenarios", 0, "expect")`); empty where it is not a mapping.

    Segments that are no key or index of the file (names of union members) are passed over.
    """
    schema = pack_schema()
    nodes = _expand(schema, schema)
    for segment in path:
        following = [below for node in nodes for below in _below(node, segment)]
        if following:
            nodes = [leaf for node in following for leaf in _expand(node, schema)]
    return tuple(dict.fromkeys(key for node in nodes for key in node.get("properties", {})))


def _below(node: dict[str, Any], segment: str | int) -> list[dict[str, Any]]:
    if isinstance(segment, int):
        return [node["items"]] if isinstance(node.get("items"), dict) else []
    named = node.get("properties", {}).get(segment)
    if named is not None:
        return [named]
    extra = node.get("additionalProperties")
    return [extra] if isinstance(extra, dict) else []


def _expand(node: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """The node with references followed and alternatives laid side by side."""
    if "$ref" in node:
        return _expand(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            return [leaf for part in node[word] for leaf in _expand(part, root)]
    return [node]

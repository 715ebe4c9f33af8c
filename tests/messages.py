"""Every message that an error or a warning of the library can have, read from its source.

``python tests/messages.py`` prints those that the Chinese catalogue lacks, as entries to be filled in.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from gridgis import errors

ROOT = Path(__file__).parents[1]
ERRORS = {"UsageError", "BadParameter", *(name for name in vars(errors) if name.endswith(("Error", "Warning")))}
#: What an error takes that a user reads; the message itself comes first.
TOLD = ("message", "found", "wanted", "remedy")


def messages(*rooms: str) -> dict[str, str]:
    """Each message with the place where it stands; what is filled in is ``{}``.

    A name stands for the texts that are given to it in the same file; an argument of a function that hands it on to an
    error stands for what its callers give.
    """
    trees = {path: ast.parse(path.read_text()) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))}
    handing = {name: which for tree in trees.values() for name, which in _handing_on(tree)}
    out: dict[str, str] = {}
    for path, tree in trees.items():
        given = _given(tree)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                for text in _told_by(call, handing, given):
                    if text.replace("{}", "").strip(" :,;.()×"):
                        out.setdefault(text, f"{path.relative_to(ROOT)}:{call.lineno}")
    return out


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def _is_error(call: ast.Call) -> bool:
    return _name(call) in ERRORS


def _arguments(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """What an error is told; of ``warnings.warn(text, GridgisWarning)``, ``notes.append(text)`` and
    ``StoreFault(table, text)`` the text.
    """
    if _is_error(call):
        if call.args:
            yield "message", call.args[0]
        yield from ((word.arg, word.value) for word in call.keywords if word.arg in TOLD)
    elif _name(call) == "StoreFault" and len(call.args) > 1:
        yield "message", call.args[1]
    elif _is_note(call):
        yield "message", call.args[0]


def _is_note(call: ast.Call) -> bool:
    if _name(call) == "warn":
        return len(call.args) > 1 and getattr(call.args[1], "id", "") == "GridgisWarning"
    return _name(call) == "append" and getattr(getattr(call.func, "value", None), "id", "") == "notes"


def _handing_on(tree: ast.Module) -> Iterator[tuple[str, dict[str, int]]]:
    """Functions of a file whose arguments become what an error says: their names, and where they stand in a call."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
            calls = [call for call in ast.walk(function) if isinstance(call, ast.Call)]
            said = {value.id for call in calls for _, value in _arguments(call) if isinstance(value, ast.Name)}
            own = [name for name in names if name not in ("self", "cls")]
            if which := {name: own.index(name) for name in own if name in said}:
                yield function.name, which


def _told_by(call: ast.Call, handing: dict[str, dict[str, int]], given: dict[str, list[ast.expr]]) -> Iterator[str]:
    for _, value in _arguments(call):
        yield from _texts(value, given)
    for name, position in handing.get(_name(call), {}).items():
        for word in call.keywords:
            if word.arg == name:
                yield from _texts(word.value, given)
        if position < len(call.args):
            yield from _texts(call.args[position], given)


def _given(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What the names of a file are given, wherever."""
    out: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                out.setdefault(target.id, []).append(node.value)
    return out


def _texts(value: ast.expr, given: dict[str, list[ast.expr]]) -> list[str]:
    """The texts that an expression can be, as patterns of :meth:`str.format`."""
    if isinstance(value, ast.Constant):
        return [value.value.replace("{", "{{").replace("}", "}}")] if isinstance(value.value, str) else ["{}"]
    if isinstance(value, ast.JoinedStr):
        return ["".join(_texts(part, {})[0] if isinstance(part, ast.Constant) else "{}" for part in value.values)]
    if isinstance(value, ast.IfExp):
        return _texts(value.body, given) + _texts(value.orelse, given)
    if isinstance(value, ast.BoolOp):
        return [text for part in value.values for text in _texts(part, given)]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return [left + right for left in _texts(value.left, given) for right in _texts(value.right, given)]
    if isinstance(value, ast.Name) and value.id in given:
        others = {name: found for name, found in given.items() if name != value.id}
        return [text for one in given[value.id] for text in _texts(one, others)]
    return ["{}"]


if __name__ == "__main__":
    from gridgis.chinese import known_messages

    for text, where in messages("gridgis").items():
        if text not in known_messages():
            print(f'# {where}\nmsgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n')

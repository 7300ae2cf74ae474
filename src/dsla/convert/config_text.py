"""Settings out of the text of an mmdet configuration, which checkpoints carry. It is parsed and never executed."""

import ast
from contextlib import suppress
from typing import Any


class ConfigText:
    """The literal values that a configuration gives to each name, wherever it does, in the order of the text.

    Args:
        text: Python source of assignments and `dict(...)` calls; what is none gives no settings.
    """

    def __init__(self, text: str) -> None:
        self._found: dict[str, list[Any]] = {}
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg is not None:
                self._note(node.arg, node.value)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        self._note(key.value, value)

    def __bool__(self) -> bool:
        return bool(self._found)

    def first(self, name: str, default: Any = None) -> Any:
        """The first value of a name."""
        values = self._found.get(name)
        return values[0] if values else default

    def has(self, name: str, value: Any) -> bool:
        """Whether a name is given a value somewhere."""
        return value in self._found.get(name, [])

    def _note(self, name: str, value: ast.expr) -> None:
        with suppress(ValueError):  # a call or a name, whose own keywords are met on their own
            self._found.setdefault(name, []).append(ast.literal_eval(value))

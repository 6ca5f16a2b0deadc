"""cosmic-ray's operators on given sources; run by the interpreter of the peers environment, JSON in and out.

Standard input: {"files": {path: text}, "operators": [name], "chosen": [[path, operator, occurrence]] or null}.
Output without `chosen`: [[path, operator, occurrence, [line, column], [line, column]]], every mutation there is.
Output with `chosen`: the mutated text of each, or null.
"""

from __future__ import annotations

import json
import sys

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator


def positions(files: dict[str, str], operators: list[str]) -> list[list[object]]:
    """Every mutation of these operators, in cosmic-ray's own numbering."""
    found: list[list[object]] = []
    for path, text in files.items():
        nodes = list(ast_nodes(get_ast(text)))
        for name in operators:
            operator, occurrence = get_operator(f"core/{name}")(), 0
            for node in nodes:
                for start, end in operator.mutation_positions(node):
                    found.append([path, name, occurrence, list(start), list(end)])
                    occurrence += 1
    return found


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)
    if asked["chosen"] is None:
        answer: list[object] = list(positions(asked["files"], asked["operators"]))
    else:
        answer = [
            mutate_code(asked["files"][path], get_operator(f"core/{name}")(), occurrence)
            for path, name, occurrence in asked["chosen"]
        ]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

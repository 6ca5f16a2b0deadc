"""A verdict in plain words, in the terminal."""

from __future__ import annotations

from collections import Counter

from councilor.pipeline.council import Explanation
from councilor.surfaces.cli.output import Output, one_line

__all__ = ["show_explanation"]

SHOWN_RULES, SHOWN_OF_RULE = 12, 2


def show_explanation(why: Explanation, output: Output) -> None:
    """Why it was decided so, and what would change it."""
    output.line(why.summary, style="bold")
    for reason in why.because:
        output.line(f"  - {one_line(reason)}")
    rows = [(item.who, item.choice.value, one_line(item.reason), item.weight) for item in why.opinions]
    output.table(("judge", "vote", "main reason", "this vote is"), rows, title="\nCouncil: who said what")
    _section("Rules", _rules(why), output)
    _section("Waivers used", why.waivers, output)
    _section("Tests that judges proposed", why.challenges, output)
    _section("Dissent", why.dissent, output)
    _section("Missing, cheapest first", why.missing, output)
    _section("What would change the decision", why.would_change, output)
    debated = f" ({why.total_s:.1f} s with the debate)" if why.challenges else ""
    output.line(
        f"\nDecided in {why.consensus_s * 1000:.1f} ms{debated} on evidence of {why.evidence_s:.1f} s, "
        f"with the weights {why.weights_version}."
    )


def _rules(why: Explanation) -> list[str]:
    """The first few violations of each rule."""
    lines: list[str] = []
    seen: Counter[str] = Counter()
    for item in why.rules:
        seen[item.rule] += 1
        if seen[item.rule] > SHOWN_OF_RULE or len(lines) >= SHOWN_RULES:
            continue
        kind = "forbids" if item.forbids else "warns"
        place = f" {one_line(item.where)}" if item.where else ""
        end = "" if item.message.endswith((".", "?", "!")) else "."
        lines.append(f"{item.rule} ({item.gate}, {kind}){place}: {item.message}{end} {item.remediation}")
    if len(lines) < len(why.rules):
        lines.append(f"and {len(why.rules) - len(lines)} more, in the table below")
    return lines


def _section(title: str, lines: tuple[str, ...] | list[str], output: Output) -> None:
    if lines:
        output.line(f"\n{title}", style="bold")
    for line in lines:
        output.line(f"  {one_line(line)}")

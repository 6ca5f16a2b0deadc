"""The dashboard of judgement: the council, gates, evidence, claims and models."""

from __future__ import annotations

from monitoring.panel import Board, Form, Panel, Query, Row, quantile, rate

__all__ = ["JUDGING"]

_CONSENSUS = Row(
    title="Council",
    panels=(
        Panel(
            title="Consensus latency",
            says="From complete evidence to the verdict: 5 s at the 95th percentile is promised (A1).",
            unit="s",
            queries=tuple(
                Query(expr=quantile("v3.council.consensus", share), legend=f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)
            ),
            limits=(0.5, 5.0),
        ),
        Panel(
            title="Verdicts in time",
            says="Share of verdicts within 5 s, and within the half second that needs no model.",
            unit="percentunit",
            queries=tuple(
                Query(
                    expr=f"""{rate("v3.council.consensus", where=f'le="{edge}"', part="_bucket")}"""
                    f""" / {rate("v3.council.consensus", part="_count")}""",
                    legend=f"within {edge:g} s",
                )
                for edge in (5.0, 0.5)
            ),
            limits=(0.99, 0.95),
            low_is_bad=True,
        ),
        Panel(
            title="Verdicts",
            says="Many that need evidence mean that specs leave open what their tests do not tell.",
            unit="cps",
            form=Form.STACKED,
            queries=(
                Query(
                    expr=rate("v3.verdict.decisions", "decision", "risk_tier"), legend="{{decision}} tier {{risk_tier}}"
                ),
            ),
        ),
        Panel(
            title="Votes",
            says="A judge that always votes the same tells nothing; one that abstains lacks evidence.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.council.votes", "judge", "choice"), legend="{{judge}} {{choice}}"),),
        ),
        Panel(
            title="Model tokens",
            says="What model judges read and write: money, where the endpoint is hosted.",
            unit="cps",
            queries=(Query(expr=rate("v3.model.tokens", "model", "direction"), legend="{{model}} {{direction}}"),),
        ),
    ),
)

_GATES = Row(
    title="Gates and evidence",
    panels=(
        Panel(
            title="Gates that did not pass",
            says="Which rules candidates break; `error` is ours, not theirs.",
            unit="cps",
            form=Form.STACKED,
            queries=(
                Query(
                    expr=rate("v3.gate.results", "gate", "status", where='status=~"failed|warned|error"'),
                    legend="{{gate}} {{status}}",
                ),
            ),
        ),
        Panel(
            title="Time in gates",
            says="Seconds of gates in each second, by gate.",
            unit="s",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.gate.seconds", "gate"), legend="{{gate}}"),),
        ),
        Panel(
            title="Runs on a tree",
            says="How long tests, analyses and criteria's commands take (p95).",
            unit="s",
            queries=(Query(expr=quantile("v3.evidence.seconds", 0.95, "kind"), legend="{{kind}}"),),
        ),
        Panel(
            title="Test outcomes",
            says="What the runner saw; skipped and missing tests are no passed ones.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.evidence.tests", "outcome"), legend="{{outcome}}"),),
        ),
        Panel(
            title="Baselines",
            says="A reused baseline saves a run of the base's tests.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.evidence.baselines", "origin"), legend="{{origin}}"),),
        ),
        Panel(
            title="Runs that were not believed",
            says="Anything but nothing: a candidate touched what measures it.",
            unit="cps",
            queries=(Query(expr=rate("v3.evidence.breaches", "breach"), legend="{{breach}}"),),
        ),
        Panel(
            title="Claims",
            says="What became of workers' sentences, checked against the evidence.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.claims.checked", "status"), legend="{{status}}"),),
        ),
    ),
)

JUDGING = Board(name="judgement", title="councilor: judgement", rows=(_CONSENSUS, _GATES))

"""The tables above the last line: by library, share, kind, shape; attacks; judges left out; risk; seconds; sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from planting.results import quantile

from acceptance.cases import Arm, Kind
from acceptance.figures import Rate, natural, rates, risk_curve, share
from acceptance.judged import Judged
from acceptance.matching import check
from councilor.domain.verdict import Judge

__all__ = ["print_tables"]

COLUMNS = ("far", "far_baseline", "frr", "abstain", "hard_far", "hard_right_accepted")


def print_tables(judged: Sequence[Judged], intervals: Mapping[str, tuple[float, float]]) -> None:
    """Print everything."""
    plain = natural(judged)
    print(
        f"\n{'natural stratum':<22}{'right':>6}{'wrong':>6}{'hard':>6}"
        + "".join(f"{name[:14]:>15}" for name in COLUMNS)
    )
    for title, of in _groups():
        for value in dict.fromkeys(of(each) for each in plain):
            _row(f"{title} {value}", [each for each in plain if of(each) == value])
    _row("all", plain)
    print(f"{'95 % interval':<40}" + "".join(f"{_span(intervals.get(name)):>15}" for name in COLUMNS))
    _kinds(judged)
    _ablation(plain)
    _curve(plain)
    _seconds(judged)
    _sizes(plain)


def _groups() -> list[tuple[str, Callable[[Judged], object]]]:
    return [
        ("library", lambda each: each.base.library),
        ("share", lambda each: each.base.share),
        ("shape", lambda each: each.base.shape.value),
    ]


def _row(name: str, judged: Sequence[Judged]) -> None:
    wrong = [each for each in judged if not each.case.right]
    found = rates(judged)
    print(
        f"{name:<22}{len(judged) - len(wrong):>6}{len(wrong):>6}{sum(each.case.hard for each in wrong):>6}"
        + "".join(f"{_figure(found[column]):>15}" for column in COLUMNS)
    )


def _figure(value: Rate) -> str:
    return "-" if value is None else f"{value:.3f}"


def _span(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"


def _kinds(judged: Sequence[Judged]) -> None:
    print(f"\n{'kind':<34}{'cases':>6}{'accept':>8}{'reject':>8}{'open':>8}  lets through")
    for arm in Arm:
        of_arm = [each for each in judged if each.case.arm is arm]
        for kind, right in dict.fromkeys((each.case.kind, each.case.right) for each in of_arm):
            found = [each for each in of_arm if each.case.kind is kind and each.case.right is right]
            accepted = [each for each in found if each.accepted]
            acts = sorted({each.case.act for each in accepted if each.case.act and kind is not Kind.LIE})
            title = f"{arm}: {kind}" + ("" if kind is Kind.RIGHT else ", right" if right else ", wrong")
            print(
                f"{title:<34}{len(found):>6}{len(accepted):>8}{sum(each.rejected for each in found):>8}"
                f"{sum(each.abstained for each in found):>8}  {', '.join(acts)[:100]}"
            )
    lies = [each for each in judged if each.lie_supported]
    print("false claims that count as supported: " + (", ".join(each.case.act for each in lies) or "none"))
    errors = Counter(each.error for each in judged if each.error)
    for text, number in errors.most_common(5):
        print(f"error, {number} times: {text}")


def _ablation(plain: Sequence[Judged]) -> None:
    print(f"\n{'without the judge':<26}{'far':>8}{'hard far':>10}{'right accepted':>16}{'frr':>8}{'open':>8}")
    right, wrong = [each for each in plain if each.case.right], [each for each in plain if not each.case.right]
    for seat in (None, *Judge):

        def says(each: Judged, seat: Judge | None = seat) -> str:
            return each.decision if seat is None else each.without(seat)

        print(
            f"{'(nobody)' if seat is None else seat.value:<26}"
            f"{_figure(share(wrong, lambda each: says(each) == 'accept')):>8}"
            f"{_figure(share([each for each in wrong if each.case.hard], lambda each: says(each) == 'accept')):>10}"
            f"{_figure(share(right, lambda each: says(each) == 'accept')):>16}"
            f"{_figure(share(right, lambda each: says(each) == 'reject')):>8}"
            f"{_figure(share(plain, lambda each: says(each) not in {'accept', 'reject'})):>8}"
        )  # fmt: skip


def _curve(plain: Sequence[Judged]) -> None:
    curve = risk_curve(plain)
    shown = curve if len(curve) <= 10 else [curve[number * (len(curve) - 1) // 9] for number in range(10)]
    print("\naccepted at or above a probability: share of the stratum (wrong among them)")
    print("  " + "; ".join(f">= {at:.3f}: {part:.2f} ({risk:.3f})" for at, part, risk in shown))


def _seconds(judged: Sequence[Judged]) -> None:
    times = [each.seconds for each in judged]
    print(f"\nseconds a case: p50 {quantile(times, 0.5):.2f}, p95 {quantile(times, 0.95):.2f}, all {sum(times):.0f}")
    spent: Counter[str] = Counter()
    for each in judged:
        spent.update(each.spent_s)
    measured = ", ".join(f"{name} {seconds / len(judged):.2f}" for name, seconds in spent.most_common())
    print(f"  of it evidence, mean by kind (a repeated baseline counted again): {measured}")


def _sizes(plain: Sequence[Judged]) -> None:
    right = [each.case.size for each in plain if each.case.right]
    wrong = [each.case.size for each in plain if not each.case.right]
    print(f"\n{'size of the patch':<18}{'right: quartiles':>22}{'wrong: quartiles':>22}{'area':>8}{'p':>8}")
    for name, found in check(right, wrong).items():
        sides = ["/".join(str(quantile([getattr(size, name) for size in side], part)) for part in (0.25, 0.5, 0.75))
                 for side in (right, wrong) if side]  # fmt: skip
        if len(sides) == 2:
            print(f"{name:<18}{sides[0]:>22}{sides[1]:>22}{found.area:>8.3f}{found.p_value:>8.2f}")

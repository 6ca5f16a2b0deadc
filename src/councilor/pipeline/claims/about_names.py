"""Claims about names: added, removed, renamed, moved; parameters; an unchanged API.

Rules:
- By syntax trees of both sides of the changed files. A name is said as written or with its class or module in front.
- What occurs in the change and is no function, class or constant cannot be told (an option, a key, a command).
- "No API change" is about public names and their signatures outside of tests; the API analyser's findings count too.
  "No breaking change" can be contradicted by them, and never supported: behaviour may break what names do not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from councilor.domain.analysis import AnalysisKind
from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.pipeline.claims.about_files import renamed_file
from councilor.pipeline.claims.analyses import fresh_findings
from councilor.pipeline.claims.context import ClaimContext, either, unknown
from councilor.pipeline.claims.symbols import Symbol, SymbolDiff, diff_symbols

__all__ = ["added", "added_parameter", "no_api_change", "no_breaking_change", "removed", "removed_parameter", "renamed"]

FILE = re.compile(r"/|\.(?:pyi?|md|rst|toml|txt|ya?ml|json|cfg|ini)$")
OPAQUE = (".pyx", ".pxd", ".c", ".cc", ".cpp", ".h", ".hpp", ".rs", ".go", ".js", ".jsx", ".ts", ".tsx", ".java", ".so")
"""Sources whose names we do not read."""
CALLABLE = frozenset({"function", "method"})


def _diff(context: ClaimContext) -> SymbolDiff:
    return diff_symbols(context.given.candidate.changes)


def _mentioned(name: str, context: ClaimContext) -> bool:
    """Whether the changed files hold the name's last part at all, on either side."""
    word = name.rsplit(".", 1)[-1].encode()
    return any(word in (side or b"") for change in context.given.candidate.changes for side in (change.old, change.new))


def _called(symbols: Iterable[Symbol], name: str) -> list[Symbol]:
    """The symbols that a name means."""
    found = [item for item in symbols if item.name == name or item.name.endswith(f".{name}")]
    if found or "." not in name:
        return found
    return [item for item in symbols if name.endswith(f".{item.name}") and _fits_module(item, name)]


def _fits_module(symbol: Symbol, name: str) -> bool:
    """Whether what stands before the symbol's own name may be its module."""
    module = symbol.path.removesuffix(".pyi").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    front = name.removesuffix(f".{symbol.name}")
    return module == front or module.endswith(f".{front}") or front.endswith(f".{module}")


def _of_kind(symbols: list[Symbol], kind: str | None) -> list[Symbol]:
    if kind is None:
        return symbols
    wanted = CALLABLE if kind in CALLABLE else {kind}
    return [item for item in symbols if item.kind in wanted or item.kind == "import"]


def added(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A function, class, method or constant is new; the claim's value is the kind, when it says one."""
    diff, name, ids = _diff(context), claim.subject, context.diff
    found = _called(diff.added, name)
    if _of_kind(found, claim.value):
        return either(claim, True, f"{name} is new", ids)
    if found:
        return either(claim, False, f"{name} is a {found[0].kind}, and no {claim.value}", ids)
    if diff.unread:
        return unknown(claim, f"{diff.unread[0]} cannot be parsed", ids)
    if _called((new for _, new in diff.kept), name):
        return either(claim, False, f"{name} was there before", ids)
    if _called(diff.removed, name):
        return either(claim, False, f"{name} was removed", ids)
    if _mentioned(name, context):
        return unknown(claim, f"{name} occurs in the change, but is no function, class or constant", ids)
    return either(claim, False, f"{name} does not occur in the changed files", ids)


def removed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A name is gone."""
    diff, name, ids = _diff(context), claim.subject, context.diff
    if diff.unread:
        return unknown(claim, f"{diff.unread[0]} cannot be parsed", ids)
    still = _called(diff.new, name)
    if found := _of_kind(_called(diff.removed, name), claim.value):
        if not still:
            return either(claim, True, f"{name} is gone", ids)
        return unknown(claim, f"{name} is gone from {found[0].path}, and still in {still[0].path}", ids)
    if still:
        return either(claim, False, f"{name} is still there", ids)
    return unknown(claim, f"{name} is no function, class or constant of the changed files", ids)


def renamed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """One name is gone and another is new, of the same kind; a file, where the names are files'."""
    if FILE.search(claim.subject) or FILE.search(claim.value or ""):
        return renamed_file(claim, context)
    return _parameter_renamed(claim, context) or _symbol_renamed(claim, context)


def _parameter_renamed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim | None:
    """Supported when a function both sides have lost the one parameter and gained the other; else nothing is said."""
    old, new = claim.subject, claim.value or ""
    for before, after in _diff(context).kept:
        gone = old in before.parameters and old not in after.parameters
        if gone and new in after.parameters and new not in before.parameters:
            return either(claim, True, f"a parameter of {after.name} was renamed", context.diff)
    return None


def _symbol_renamed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    diff, old, new, ids = _diff(context), claim.subject, claim.value or "", context.diff
    gone, come = _called(diff.removed, old), _called(diff.added, new)
    reason = f"{old} is {'gone' if gone else 'not gone'}, {new} is {'new' if come else 'not new'}"
    if diff.unread:
        return unknown(claim, f"{diff.unread[0]} cannot be parsed", ids)
    if gone and come and not {item.kind for item in gone} & {item.kind for item in come}:
        return either(claim, False, f"{old} was a {gone[0].kind}, {new} is a {come[0].kind}", ids)
    if not (gone and come) and not _called((*diff.old, *diff.new), old):
        return unknown(claim, f"{old} is no function, class or constant of the changed files", ids)
    return either(claim, bool(gone and come), reason, ids)


def added_parameter(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A function gained a parameter; the claim's value is the function, when it says one."""
    return _parameter(claim, context, gains=True)


def removed_parameter(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A function lost a parameter."""
    return _parameter(claim, context, gains=False)


def _parameter(claim: AtomicClaim, context: ClaimContext, *, gains: bool) -> CheckedClaim:
    diff, name, ids = _diff(context), claim.subject.lstrip("*"), context.diff
    pairs = [(old, new) for old, new in diff.kept if old.kind in CALLABLE and new.kind in CALLABLE]
    if diff.unread:
        return unknown(claim, f"{diff.unread[0]} cannot be parsed", ids)
    if claim.value is not None:
        meant = _called((new for _, new in pairs), claim.value) + _called(
            (new for _, new in pairs), f"{claim.value}.__init__"
        )
        pairs = [(old, new) for old, new in pairs if new in meant]
        if not pairs:
            return unknown(claim, f"{claim.value} is no function that both sides have", ids)
    changed = [new for old, new in pairs if (name in new.parameters, name in old.parameters) == (gains, not gains)]
    if changed:
        return either(claim, True, f"{changed[0].name} {'gained' if gains else 'lost'} {name}", ids)
    if claim.value is None and _mentioned(name, context):
        return unknown(claim, f"no function both sides have {'gained' if gains else 'lost'} {name}", ids)
    has = any(name in new.parameters for _, new in pairs)
    told = f"{claim.value} {'has' if has else 'does not have'} {name}, as before"
    return either(claim, False, told if claim.value else f"{name} does not occur in the changed files", ids)


def _public(diff: SymbolDiff, context: ClaimContext) -> list[str]:
    """What changed of the public names, one phrase each."""

    def counts(symbol: Symbol) -> bool:
        return symbol.public and not context.given.owns(symbol.path)

    return [
        *(f"{item.name} was removed" for item in diff.removed if counts(item)),
        *(f"{item.name} was added" for item in diff.added if counts(item)),
        *(
            f"the signature of {old.name} changed"
            for old, new in diff.kept
            if counts(new) and (old.kind, old.signature) != (new.kind, new.signature)
        ),
    ]


def _unreadable(diff: SymbolDiff, context: ClaimContext) -> str:
    """Why names do not tell the whole API; empty when they do."""
    if diff.unread:
        return f"{diff.unread[0]} cannot be parsed"
    opaque = [path for path in context.given.candidate.paths if path.endswith(OPAQUE)]
    return f"the names in {opaque[0]} are not read" if opaque else ""


def no_api_change(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """No public name or signature changed."""
    diff, ids = _diff(context), context.diff
    changed = _public(diff, context)
    found = fresh_findings(context, AnalysisKind.API)
    ids = (*ids, *found.ids)
    if changed or found.findings:
        reason = changed[0] if changed else found.findings[0].message
        return either(claim, False, reason, ids)
    if why := _unreadable(diff, context):
        return unknown(claim, why, ids)
    return either(claim, True, "no public name and no signature changed", ids)


def no_breaking_change(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """Nothing that others may use was taken away: never supported, at most not contradicted."""
    diff = _diff(context)
    gone = [
        item
        for item in diff.removed
        if item.public and not context.given.owns(item.path) and not _called(diff.new, item.name)
    ]
    found = fresh_findings(context, AnalysisKind.API)
    ids = (*context.diff, *found.ids)
    if gone or found.findings:
        return either(claim, False, f"{gone[0].name} was removed" if gone else found.findings[0].message, ids)
    return unknown(
        claim, "no public name was taken away; whether behaviour others rely on changed is not measured", ids
    )

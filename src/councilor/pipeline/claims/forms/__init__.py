"""The ways of saying something checkable, by what they are about."""

from __future__ import annotations

import re

from councilor.pipeline.claims.forms.api import API_FORMS
from councilor.pipeline.claims.forms.behaviour import BEHAVIOUR_FORMS
from councilor.pipeline.claims.forms.checks import CHECK_FORMS
from councilor.pipeline.claims.forms.code import CODE_FORMS
from councilor.pipeline.claims.forms.complexity import COMPLEXITY_FORMS
from councilor.pipeline.claims.forms.coverage import COVERAGE_FORMS
from councilor.pipeline.claims.forms.extent import EXTENT_FORMS
from councilor.pipeline.claims.forms.faster import FASTER_FORMS
from councilor.pipeline.claims.forms.figures import FIGURE_FORMS
from councilor.pipeline.claims.forms.form import Form
from councilor.pipeline.claims.forms.naming import NAMING_FORMS
from councilor.pipeline.claims.forms.one_test import ONE_TEST_FORMS
from councilor.pipeline.claims.forms.passing import PASSING_FORMS
from councilor.pipeline.claims.forms.renaming import RENAMING_FORMS
from councilor.pipeline.claims.forms.results import RESULT_FORMS
from councilor.pipeline.claims.forms.reverting import REVERT_FORMS
from councilor.pipeline.claims.forms.tests import TEST_FORMS

__all__ = ["FORMS", "Form", "spoken_of"]

FORMS: tuple[Form, ...] = (
    *PASSING_FORMS,
    *ONE_TEST_FORMS,
    *TEST_FORMS,
    *REVERT_FORMS,
    *CODE_FORMS,
    *RENAMING_FORMS,
    *NAMING_FORMS,
    *API_FORMS,
    *EXTENT_FORMS,
    *COVERAGE_FORMS,
    *FIGURE_FORMS,
    *FASTER_FORMS,
    *COMPLEXITY_FORMS,
    *CHECK_FORMS,
    *RESULT_FORMS,
    *BEHAVIOUR_FORMS,
)
"""Tried in this order; of several that find the same claim, the first counts."""

TESTS = r"test|suite|pass|fail|green|red\b|spec|tox|nox|\d ?/ ?\d"
NAME = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}"
"""Begins the token of any name."""
NAMES = rf"{NAME}|parameter|argument|option|flag|keyword|method|function|attribute|class|\bit\b"
FILES = f"{NAME}F"
TRIGGERS = {
    predicate: re.compile(words, re.IGNORECASE)
    for predicate, words in {
        "tests_pass": TESTS,
        "test_passes": f"{TESTS}|{NAME}",
        "tests_added": f"test|{NAME}",
        "fix_tested": rf"{NAME}|fail|red\b|broke|crash|revert|test",
        "coverage": r"cover",
        "added": NAMES,
        "removed": NAMES,
        "renamed": r"renam|called|named|known as|name of|name\b|spell|\bwas\b|formerly",
        "added_file": FILES,
        "removed_file": FILES,
        "only_touched": FILES,
        "untouched": FILES,
        "no_new_dependencies": rf"{FILES}|standard library|dependenc|requirement|package|librar",
        "no_api_change": r"api|interface|signature|public|names|functions|symbols",
        "no_breaking_change": r"break|compatib",
        "faster": r"optimi|enhanc|cheap|throughput|fast|quick|speed|time|perf|latency|half|took|takes|\d ?(?:ns|us|ms|s|min|x)\b|sped|\u2192|went",
        "complexity": r"complex|O\(",
        "lint_clean": r"warning|lint|ruff|flake|py(?:code|flakes)|clippy|shellcheck|style|static",
        "types_clean": r"typ|mypy|pyright|pyre|tsc",
        "secure": r"timing attack|zip slip|xxe|smuggling|deseriali|code execution|injection|xss|scripting|travers|denial|\bdos\b|redos|csrf|ssrf|forgery|remote code|overflow|redirect|secur|vulnerab|secret|credential|key|password|token|cve|ghsa|pysec|bandit|semgrep|audit|safety|snyk|codeql|trivy|leaks",
        "builds": r"build|built|compil",
        "imports": f"import|{NAME}",
        "behaviour_unchanged": r"output|result|behav|return|refactor|functional|semantic|observable|visible|same|before|identical",
        "fixes": r"\bdo\b|fix|clos|resolv|address|solv|correct|repair|satisf|implement|meet|met|fulfil|complet|cover|done|hold|pass|green|achiev",
    }.items()
}
"""Predicate -> what a part has to speak of for its forms to be tried at all: it saves time, and decides nothing."""


def spoken_of(part: str) -> frozenset[str]:
    """The predicates whose forms are worth trying on a part."""
    return frozenset(predicate for predicate, words in TRIGGERS.items() if words.search(part))

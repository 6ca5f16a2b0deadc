"""The ways of saying something checkable, by what they are about."""

from __future__ import annotations

from councilor.pipeline.claims.forms.checks import CHECK_FORMS
from councilor.pipeline.claims.forms.code import CODE_FORMS
from councilor.pipeline.claims.forms.figures import FIGURE_FORMS
from councilor.pipeline.claims.forms.form import Form
from councilor.pipeline.claims.forms.tests import TEST_FORMS

__all__ = ["FORMS", "Form"]

FORMS: tuple[Form, ...] = (*TEST_FORMS, *CODE_FORMS, *FIGURE_FORMS, *CHECK_FORMS)
"""Tried in this order; of several that find the same claim, the first counts."""

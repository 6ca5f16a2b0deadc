-- What was recorded about a git tree, whichever task it was for: an earlier baseline of the same base is looked up here.

CREATE INDEX execution_artifacts_tree ON execution_artifacts (tree, name, created_at DESC, id DESC)
    WHERE tree IS NOT NULL;

"""An application whose import fails."""

raise RuntimeError("broken on purpose")

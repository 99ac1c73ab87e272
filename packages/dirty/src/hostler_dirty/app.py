"""The public face for authors of apps (`from hostler_dirty.app import DirtyApp`)."""

from __future__ import annotations

from hostler_dirty._app import Call, DirtyApp, DirtyCancelled, DirtyDeadlineExceeded, action, current_call

__all__ = ["Call", "DirtyApp", "DirtyCancelled", "DirtyDeadlineExceeded", "action", "current_call"]

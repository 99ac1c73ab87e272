"""A real model: py3langid tells the language of a text, with the weights that it ships."""

from __future__ import annotations

import os

from hostler_dirty import DirtyApp, action


class Languages(DirtyApp):
    """Two workers of the pool hold the weights."""

    workers = 2

    def init(self):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self.model = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.times = int(os.environ["POOL_TIMES"])

    @action(batch=16, max_wait=0.005)
    def tell(self, text):
        # A document of so many times the text, so that a call takes its time and a killed worker has one to lose.
        return [self.model.classify(each * self.times)[0] for each in text]

"""A real model: py3langid tells the language of a text, with the weights that it ships."""

from __future__ import annotations

from hostler_dirty import DirtyApp, action


class Languages(DirtyApp):
    """Two workers of the pool hold the weights."""

    workers = 2

    def init(self):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self.model = LanguageIdentifier.from_model_file(MODEL_FILE)

    @action(batch=16, max_wait=0.005)
    def tell(self, text):
        # A document's worth of each, so that a worker that is killed has a call to lose.
        return [self.model.classify(each * 200)[0] for each in text]

"""Models that ``digits_own_model.py`` sends along. Where they run there is nothing else of this folder."""

"""Internal stages: folders of files, and the statements that work on them."""

"""Tasks: statements that are kept by name and run one after another when EXECUTE TASK says so."""

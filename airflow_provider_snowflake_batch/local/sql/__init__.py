"""Plain SQL: the engine behind one interface, and the statements about sessions and namespaces."""

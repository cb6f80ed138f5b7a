"""The schema of documents: the models below `spec`, checks of values, wording of problems."""

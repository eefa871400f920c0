"""The in-memory flow store: for tests, the test kit and rehearsals."""

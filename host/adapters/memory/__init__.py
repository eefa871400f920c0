"""The flow store in memory: for tests, the test kit and rehearsals."""

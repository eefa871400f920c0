"""The flow machine and its values: pure functions from state and event to state and commands."""

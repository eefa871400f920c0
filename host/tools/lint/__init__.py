"""`cordbox cordapp lint`: its rules, and what they find."""

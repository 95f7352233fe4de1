"""THE path from files to a verdict: every command and every script goes through a function of these modules."""

"""Decisions: values go in, values come out; no call, no clock, no chance."""

"""The command line: parse, wire, flow, render."""

"""The market of instances: what is offered where, at which price, how much of it, and what a fleet takes of it. Pure.

Nothing here knows a request, a record or a clock: types, zones, times and limits come in, decisions go out.
"""

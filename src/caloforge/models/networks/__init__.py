"""Networks of every family that torch trains: the representation of showers that they share, and what is in it.

``settings`` imports without torch; the other modules need it.
"""

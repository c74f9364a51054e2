"""Conditional convolutional WGAN-GP with the regressor and the observables inside the critic.

``settings`` imports without torch; the other modules need it.
"""

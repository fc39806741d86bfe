"""Bars that sum up: the cases handed to the project, and all bars of jobs and safety."""

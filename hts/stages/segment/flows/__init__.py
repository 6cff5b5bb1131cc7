"""Flows and masks: what a network of cellpose's kind says, and the objects that follow from it."""

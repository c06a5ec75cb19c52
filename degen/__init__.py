"""degen: how different are networks trained on the same task, and what controls that?"""

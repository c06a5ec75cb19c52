"""Drawing primitives that figures and reports share."""

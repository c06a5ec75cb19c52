"""Drawing primitives, text of estimates, and HTML pages for figures and reports."""
